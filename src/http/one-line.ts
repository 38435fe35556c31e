/** Letters that are written from right to left: Hebrew, Arabic and the blocks of Unicode that are kept for such. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const SPACE = /(?:[\s\p{Cc}]|(?!\u200c|\u200d|[\u{e0020}-\u{e007f}])\p{Cf})+/gu;

/** What shows nothing where no letter stands before it, or behind. */
const EDGES = /^[ \p{Cf}]+|(?: |\u200c|\u200d)+$/gu;

const LONGEST = 100;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * A name as it may stand inside a sentence, or as a subject: one line of at most `longest` characters, the last of them "…" where
 * there were more, without those that control a terminal or turn text around; joiners and tags, which belong to the spelling
 * of words and of emoji, stay. A name that is written from right to left is isolated (UAX #9 §2.4), so that it leaves the
 * order of what stands beside it alone.
 */
export function oneLine(text: string, longest = LONGEST): string {
  const line = cut(
    text
      .replace(/\u00ad/g, "")
      .replace(SPACE, " ")
      .replace(EDGES, ""),
    longest,
  );
  return RIGHT_TO_LEFT.test(line) ? `\u2068${line}\u2069` : line;
}

function cut(line: string, longest: number): string {
  const characters = [...line];
  if (characters.length <= longest) return line;
  const kept = characters.slice(0, longest - 1).join("");
  // What follows belongs to the last sign that is seen, which is whole or is not there; unless there is but that one.
  const end = graphemes.segment(characters.slice(0, longest).join("")).containing(kept.length)?.index ?? 0;
  return `${(kept.slice(0, end) || kept).trimEnd()}…`;
}
