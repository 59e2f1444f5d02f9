/** Networks that no session may reach: private, link-local, shared, reserved and multicast ones. Those for documentation lead nowhere. */
const CLOSED = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
];

export interface Fence {
  readonly table: string;
  /** Device of the network that is fenced. */
  readonly bridge: string;
  /** Where names are asked for; IPv4. */
  readonly resolvers: readonly string[];
  /** Mirrors and proxies from the server's configuration, which may be private; IPv4. */
  readonly mirrors: readonly string[];
}

/**
 * Rules for nft, put in place whole or not at all. They have a table of their own, so they hold whatever the engine or a
 * firewall does to theirs: a packet that is dropped here is dropped. What comes for the machine itself is `input`, from
 * wherever it was addressed; what one session sends to another never leaves the bridge, and is closed as private.
 */
export function fenceRules({ table, bridge, resolvers, mirrors }: Fence): string {
  const allowed = [
    ...resolvers.map((address) => `ip daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`),
    ...mirrors.map((address) => `ip daddr ${address} accept`),
  ];
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain forward {
    type filter hook forward priority filter - 10; policy accept;
    iifname "${bridge}" jump out
    oifname "${bridge}" ct state new drop
  }
  chain input {
    type filter hook input priority filter - 10; policy accept;
    iifname "${bridge}" jump own
  }
  chain out {
${allowed.map((rule) => `    ${rule}`).join("\n")}
    oifname "${bridge}" drop
    meta nfproto ipv6 drop
    ip daddr { ${CLOSED.join(", ")} } reject with icmp admin-prohibited
  }
  chain own {
    ct state established,related accept
${allowed.map((rule) => `    ${rule}`).join("\n")}
    drop
  }
}
`;
}

/** Does nothing where the table is not there. */
export function fenceRemoval(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`;
}
