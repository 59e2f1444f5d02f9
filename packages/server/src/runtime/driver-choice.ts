import { DriverError, type RuntimeDriver } from "./driver.ts";

/** How each driver is had. Making one throws DriverError where it can't be. */
export interface DriverMakers {
  readonly docker: () => Promise<RuntimeDriver>;
  readonly sandbox: () => Promise<RuntimeDriver>;
  /** Never throws. */
  readonly engineAnswers: () => Promise<boolean>;
  /** Pulls or builds the session image. Throws DriverError. */
  readonly makeImages: () => Promise<void>;
}

export interface DriverChoice {
  readonly driver: RuntimeDriver;
  /** Why this one, for people. */
  readonly reason: string;
}

type Attempt =
  | { readonly driver: RuntimeDriver; readonly detail: string }
  | { readonly driver: null; readonly detail: string };

/**
 * `auto`: docker where an engine answers and the session image is there, else sandbox where bubblewrap works, else docker
 * after making the image. A driver that was chosen by name must work. Throws DriverError that says what to do.
 */
export async function chooseDriver(
  choice: "auto" | "docker" | "sandbox" | "kubernetes",
  makers: DriverMakers,
): Promise<DriverChoice> {
  switch (choice) {
    case "kubernetes":
      throw new DriverError("The kubernetes driver is not part of this version. Use docker, sandbox or auto.", {
        transient: false,
      });
    case "docker":
      return { driver: await dockerByName(makers), reason: "it was chosen by name" };
    case "sandbox": {
      const sandbox = await attempt(makers.sandbox);
      if (sandbox.driver === null) throw unusable(`The sandbox driver can't work here. ${sandbox.detail}`);
      return { driver: sandbox.driver, reason: "it was chosen by name" };
    }
    case "auto":
      return choose(makers);
  }
}

async function choose(makers: DriverMakers): Promise<DriverChoice> {
  const engine = await makers.engineAnswers();
  const docker = engine ? await attempt(makers.docker) : none("No Docker engine answers.");
  if (docker.driver !== null) {
    return { driver: docker.driver, reason: "a Docker engine answers and has the session image" };
  }
  const sandbox = await attempt(makers.sandbox);
  if (sandbox.driver !== null) {
    return { driver: sandbox.driver, reason: `bubblewrap works here (docker: ${docker.detail})` };
  }
  if (engine) {
    await makers.makeImages();
    const again = await attempt(makers.docker);
    if (again.driver !== null)
      return { driver: again.driver, reason: "a Docker engine answers; its image was made now" };
  }
  throw unusable(`No runtime can work here. docker: ${docker.detail} sandbox: ${sandbox.detail}`);
}

async function dockerByName(makers: DriverMakers): Promise<RuntimeDriver> {
  if (!(await makers.engineAnswers())) {
    throw unusable("No Docker engine answers. Start Docker, or use the sandbox driver: --runtime sandbox.");
  }
  const first = await attempt(makers.docker);
  if (first.driver !== null) return first.driver;
  await makers.makeImages();
  const again = await attempt(makers.docker);
  if (again.driver === null) throw unusable(`The docker driver can't work here. ${again.detail}`);
  return again.driver;
}

async function attempt(make: () => Promise<RuntimeDriver>): Promise<Attempt> {
  let driver: RuntimeDriver;
  try {
    driver = await make();
  } catch (error) {
    if (error instanceof DriverError) return none(error.message);
    throw error;
  }
  const { ok, detail } = await driver.check();
  if (ok) return { driver, detail };
  await driver.close();
  return none(detail);
}

function none(detail: string): Attempt {
  return { driver: null, detail };
}

function unusable(message: string): DriverError {
  return new DriverError(message, { transient: false });
}
