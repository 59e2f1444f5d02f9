import { mapText } from "./id-map.ts";
import { findProgram, runProgram } from "./programs.ts";
import { quote } from "./shell.ts";

export interface IdentityMountLayer {
  readonly source: string;
  /** Below `lower` on the stage. */
  readonly name: string;
}

/** Mounts folders of this machine so that its root's files are those of a computer's root. */
export interface IdentityMount {
  /** Shell commands for the stage; the layers are then at `lower/{name}`. */
  commands(stage: string, firstId: number, layers: readonly IdentityMountLayer[]): readonly string[];
}

/** The kernel's way: a copy of a mount, an attribute that names a user namespace, and a place for it. */
const BY_PERL = `
my ($source, $target, $space) = @ARGV;
my $tree = syscall(428, -100, $source, 0x80001); die "open_tree: $!" if $tree < 0;
open(my $namespace, "<", $space) or die "$space: $!";
my ($nothing, $attributes) = ("\\0", pack("Q4", 0x100000, 0, 0, fileno($namespace)));
syscall(442, $tree, $nothing, 0x1000, $attributes, 32) == 0 or die "mount_setattr: $!";
syscall(429, $tree, $nothing, -100, $target, 4) == 0 or die "move_mount: $!";
`;

/**
 * Undefined where neither `mount` is new enough (util-linux 2.39) nor Perl is there, or the kernel can't do it (before
 * 5.19 for layers).
 */
export async function findIdentityMount(): Promise<IdentityMount | undefined> {
  const { stdout } = await runProgram(["mount", "--version"]);
  const [, major = 0, minor = 0] = /util-linux (\d+)\.(\d+)/.exec(stdout) ?? [];
  const modern = Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 39);
  if (!modern && (await findProgram("perl")) === undefined) return undefined;
  const one = modern
    ? "mount --bind -o X-mount.idmap=/proc/$holder/ns/user"
    : `set_idmap() { perl -e ${quote(BY_PERL)} "$1" "$2" /proc/$holder/ns/user; }\nset_idmap`;
  return {
    commands: (stage, firstId, layers) => {
      const map = quote(mapText(firstId, true));
      return [
        // A process that does nothing holds the namespace whose map is wanted.
        `mkfifo ${stage}/held ${stage}/done`,
        `unshare --user -- sh -c 'echo held >${stage}/held; read -r end <${stage}/done' &`,
        `holder=$!; read -r held <${stage}/held`,
        `printf %s ${map} >/proc/$holder/uid_map; printf %s ${map} >/proc/$holder/gid_map`,
        ...layers.map(({ source, name }) => {
          const target = `${stage}/lower/${name}`;
          return `mkdir -p ${target}\n${one} ${quote(source)} ${target}`;
        }),
        `echo done >${stage}/done; wait $holder`,
      ];
    },
  };
}
