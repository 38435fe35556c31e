/** The tags of an Accept-Language header (RFC 9110 §12.5.4), the most wanted first. */
export function acceptedLanguages(header: string | undefined): readonly string[] {
  return (header ?? "")
    .split(",")
    .slice(0, 10)
    .map((entry) => {
      const [tag = "", ...parameters] = entry.trim().split(";");
      const q = parameters.find((parameter) => parameter.trim().startsWith("q="));
      return { tag: tag.trim(), q: q === undefined ? 1 : Number(q.trim().slice(2)) };
    })
    .filter(({ tag, q }) => tag !== "" && q > 0)
    .toSorted((a, b) => b.q - a.q)
    .map(({ tag }) => tag);
}
