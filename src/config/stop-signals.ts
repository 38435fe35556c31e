/** What tells a process of ours to stop: a service manager, a keyboard, a terminal that closes. */
export const stop_signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const satisfies readonly NodeJS.Signals[];

/** Whether a process was ended by one of them. */
export const isStopSignal = (signal: string | null): boolean => stop_signals.some((one) => one === signal);
