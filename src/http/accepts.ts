/** So many ranges of a header are read: browsers send fewer than ten. */
const MOST_RANGES = 20;

/** Whether `Accept` names a type, and not with a weight of 0, which refuses it (RFC 9110 §12.4.2). */
export function accepts(accept: string | undefined, type: "application/json" | "text/html"): boolean {
  return (accept ?? "").split(",", MOST_RANGES).some((range) => {
    const [named, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    return named === type && !parameters.some((one) => /^q=0(?:\.0*)?$/.test(one));
  });
}
