import { z } from "zod";
import { nearestNames } from "../../domain/nearest-names.ts";
import { BuildFailure } from "./build-failure.ts";

const Target = z.object({ name: z.string(), kind: z.array(z.string()), crate_types: z.array(z.string()) });
const Package = z.object({
  name: z.string(),
  manifest_path: z.string(),
  targets: z.array(Target),
});
/** What `cargo metadata --no-deps` says, as far as it is needed. */
export const CargoMetadata = z.object({
  packages: z.array(Package),
  workspace_root: z.string(),
  target_directory: z.string(),
});
export type CargoMetadata = z.infer<typeof CargoMetadata>;
type CargoPackage = z.infer<typeof Package>;

/** What of a Cargo package an agent is. */
export type CargoTarget =
  | { readonly kind: "binary"; readonly package: string; readonly name: string }
  | { readonly kind: "library"; readonly package: string; readonly folder: string; readonly function: string };

const DEFAULT_FUNCTION = "process_message";
const NAMES_SHOWN = 6;
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/;

/**
 * `lib.function`, `crate::function`, the name of a binary, or nothing: then the only binary, or else `process_message` of
 * the library. Throws BuildFailure `handler_not_found`.
 */
export function chooseCargoTarget(
  metadata: CargoMetadata,
  directory: string,
  handler: string | undefined,
): CargoTarget {
  const packages = packagesAt(metadata, directory);
  if (handler === undefined) return chooseOnly(packages);
  const [, crate, name] = /^(.+?)(?:\.|::)(\w+)$/.exec(handler) ?? [];
  if (crate !== undefined && name !== undefined) return chooseFunction(packages, handler, crate, name);
  const found = binariesOf(packages).find((binary) => binary.name === handler);
  if (found !== undefined) return found;
  const names = binariesOf(packages).map((binary) => binary.name);
  throw notFound(`The handler ${JSON.stringify(handler)} is no binary of the package. ${suggest(handler, names)}`);
}

/** The package of the folder, or all of a workspace that has none of its own there. */
function packagesAt({ packages }: CargoMetadata, directory: string): readonly CargoPackage[] {
  const own = packages.filter(({ manifest_path }) => manifest_path === `${directory}/Cargo.toml`);
  const found = own.length > 0 ? own : packages;
  // Names of cargo's own making are plain; others would end up in a Cargo.toml of ours.
  return found.filter(({ name }) => PLAIN_NAME.test(name));
}

function chooseOnly(packages: readonly CargoPackage[]): CargoTarget {
  const binaries = binariesOf(packages);
  const [binary, another] = binaries;
  if (binary !== undefined && another === undefined) return binary;
  if (binary !== undefined) {
    const names = shorten(binaries.map(({ name }) => name));
    throw notFound(`There are several binaries: ${names}. Set "handler" in raworc.json to one of them.`);
  }
  const [library, ...others] = packages.filter(hasLibrary);
  if (library !== undefined && others.length === 0) return libraryTarget(library, DEFAULT_FUNCTION);
  if (library === undefined) throw notFound("The package has neither a binary nor a library that can be linked.");
  const names = shorten(packages.filter(hasLibrary).map(({ name }) => name));
  const message = `There are several libraries: ${names}. Set "handler" in raworc.json to crate::function, or source_path to the folder of one.`;
  throw notFound(message);
}

function chooseFunction(packages: readonly CargoPackage[], handler: string, crate: string, name: string): CargoTarget {
  const libraries = packages.filter(hasLibrary);
  const plain = (text: string) => text.replaceAll("-", "_");
  const named = libraries.filter((library) =>
    [library.name, ...library.targets.filter(isLibrary).map((target) => target.name)].some(
      (known) => plain(known) === plain(crate),
    ),
  );
  const [found, another] = named.length > 0 ? named : crate === "lib" ? libraries : [];
  if (found !== undefined && another === undefined) return libraryTarget(found, name);
  const shown = JSON.stringify(handler);
  if (found !== undefined) {
    const names = shorten(libraries.map((library) => library.name));
    throw notFound(`The handler ${shown} could mean several libraries: ${names}. Write crate::function.`);
  }
  if (libraries.length === 0) {
    const message = `The handler ${shown} is not there: the package has no library. Move the function into src/lib.rs, or name a binary.`;
    throw notFound(message);
  }
  const names = libraries.map((library) => plain(library.name));
  throw notFound(`The handler ${shown} is not there: no library is named ${crate}. ${suggest(crate, names)}`);
}

function libraryTarget({ name, manifest_path }: CargoPackage, member: string): CargoTarget {
  const folder = manifest_path.replace(/\/Cargo\.toml$/, "");
  return { kind: "library", package: name, folder, function: member };
}

function binariesOf(packages: readonly CargoPackage[]): Extract<CargoTarget, { kind: "binary" }>[] {
  return packages.flatMap((owner) =>
    owner.targets
      .filter(({ kind, name }) => kind.includes("bin") && PLAIN_NAME.test(name))
      .map(({ name }) => ({ kind: "binary" as const, package: owner.name, name })),
  );
}

function hasLibrary({ targets }: CargoPackage): boolean {
  return targets.some(isLibrary);
}

/** Of a kind that Rust programs can link. */
function isLibrary({ kind, crate_types }: z.infer<typeof Target>): boolean {
  return kind.some((name) => name.endsWith("lib")) && crate_types.some((type) => type === "lib" || type === "rlib");
}

function suggest(name: string, names: readonly string[]): string {
  if (names.length === 0) return "It has none.";
  const near = nearestNames(name, names.slice(0, 100), 2);
  return near.length > 0 ? `Did you mean ${near.join(" or ")}?` : `There is ${shorten(names)}.`;
}

function shorten(names: readonly string[]): string {
  return `${names.slice(0, NAMES_SHOWN).join(", ")}${names.length > NAMES_SHOWN ? ", …" : ""}`;
}

function notFound(message: string): BuildFailure {
  return new BuildFailure("handler_not_found", message);
}
