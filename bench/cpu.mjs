/** CPU time and memory of a process together with its descendants, from /proc; where there is none, figures have no CPU time. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Linux counts in hundredths of a second. */
const TICK_US = 10_000;

/** Microseconds so far, of all threads, also of descendants that have ended. */
export function cpuOf(pid) {
  return familyOf(pid).reduce((sum, { ticks }) => sum + ticks * TICK_US, 0);
}

export function rssOf(pid) {
  const kilobytes = familyOf(pid).map(({ pid: member }) => Number(/VmRSS:\s+(\d+)/.exec(statusOf(member))?.[1] ?? 0));
  return Math.round(kilobytes.reduce((sum, value) => sum + value, 0) / 1024);
}

export function parentOf(pid) {
  return processes().find((one) => one.pid === pid)?.parent;
}

function familyOf(pid) {
  const all = processes();
  const family = all.filter((one) => one.pid === pid);
  for (const member of family) family.push(...all.filter(({ parent }) => parent === member.pid));
  return family;
}

function processes() {
  if (!existsSync("/proc/self/stat")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, "latin1");
        // After the name, which may hold anything: state, parent, …; user, system and both of children that ended are 11 to 14.
        const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
        const ticks = fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0);
        return [{ pid: Number(name), parent: Number(fields[1]), ticks }];
      } catch {
        // It ended in the meantime.
        return [];
      }
    });
}

function statusOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    return "";
  }
}
