import { z } from "zod";

/** The parts of the engine's answers that are used. */

const Labels = z.record(z.string(), z.string()).nullish();

export const EngineInfo = z.object({
  MemoryLimit: z.boolean().optional(),
  CpuCfsQuota: z.boolean().optional(),
  PidsLimit: z.boolean().optional(),
  CgroupVersion: z.string().optional(),
  CgroupDriver: z.string().optional(),
  DefaultRuntime: z.string().optional(),
  DockerRootDir: z.string(),
});
export type EngineInfo = z.infer<typeof EngineInfo>;

export const Created = z.object({ Id: z.string() });

export const InspectedContainer = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({
    Status: z.string(),
    OOMKilled: z.boolean().optional(),
    ExitCode: z.number().optional(),
    Error: z.string().optional(),
    Pid: z.number().optional(),
  }),
  Config: z.object({ Labels }),
  HostConfig: z.object({ NetworkMode: z.string() }),
});
export type InspectedContainer = z.infer<typeof InspectedContainer>;

/** Nanoseconds and bytes; of files by control groups' first or second version. */
export const ContainerStats = z.object({
  cpu_stats: z.object({ cpu_usage: z.object({ total_usage: z.number() }) }),
  memory_stats: z.object({
    usage: z.number().optional(),
    stats: z.object({ total_inactive_file: z.number().optional(), inactive_file: z.number().optional() }).nullish(),
  }),
});

export const ListedContainers = z.array(
  z.object({ Id: z.string(), Names: z.array(z.string()), State: z.string(), Labels }),
);

export const InspectedVolume = z.object({ Name: z.string(), Labels });
export const ListedVolumes = z.object({ Volumes: z.array(InspectedVolume).nullable() });

export const InspectedImage = z.object({ Id: z.string(), Config: z.object({ Labels }).nullish() });
export const ListedImages = z.array(z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish(), Labels }));

export const InspectedNetwork = z.object({
  Id: z.string(),
  Labels,
  IPAM: z.object({
    Config: z.array(z.object({ Subnet: z.string().optional(), Gateway: z.string().optional() })).nullish(),
  }),
});
export type InspectedNetwork = z.infer<typeof InspectedNetwork>;

export const EngineEvent = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).nullish() }),
});
export type EngineEvent = z.infer<typeof EngineEvent>;

/** A line of the progress that builds and imports answer with. */
export const Progress = z.object({
  error: z.string().optional(),
  status: z.string().optional(),
  aux: z.object({ ID: z.string().optional() }).optional(),
});
