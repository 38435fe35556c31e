const sources = new Set<string>();

/**
 * Declares a module whose hot statements a thread can carry out, which reads it before anybody asks for one.
 *
 * @returns its address.
 */
export function hotSource(url: string): string {
  sources.add(url);
  return url;
}

/** Of all modules that were loaded so far. */
export const hotSources = (): readonly string[] => [...sources];
