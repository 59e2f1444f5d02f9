import type { ComputerKind } from "../driver.ts";
import type { EngineMount } from "./container-config.ts";

export interface VolumeRequest {
  readonly id: string;
  readonly kind: ComputerKind;
  readonly diskMb: number;
}

/** Where the files of computers are. Two ways: sized file systems, where this process may make them, or plain volumes. */
export interface Volumes {
  /** Whether a computer can't write more than its limit. */
  readonly limited: boolean;
  /** What a container mounts. Pure. */
  mounts(request: VolumeRequest): readonly EngineMount[];
  /** Before a container starts; before a builder's is made. May be repeated. */
  prepare(request: VolumeRequest): Promise<void>;
  /** After a container was made and `prepare`, before it starts. May be repeated. */
  attach(request: VolumeRequest): Promise<void>;
  /** After a container ended: lets go of what only a running one needs. */
  release(id: string): Promise<void>;
  /** Whether there is something of an id outside the engine, and all such ids. */
  has(id: string): Promise<boolean>;
  list(): Promise<readonly string[]>;
  /** The copy is of one moment. */
  copy(from: string, to: string, signal: AbortSignal): Promise<"reflink" | "copy">;
  /**
   * Lets files be written again that stand still for a copy whose server was killed. Processes that write them can't end before;
   * `prepare` does so too. May be repeated.
   */
  awaken(id: string): Promise<void>;
  /** What there is outside the engine. Absent is fine. */
  remove(id: string): Promise<void>;
}
