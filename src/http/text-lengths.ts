/**
 * How long texts may be, in characters. Ajv counts those of each text one by one, twice where there is a least and a most,
 * which was a fifteenth of an introspection; here it does where the number of UTF-16 units does not settle it.
 */
import { _, type Ajv, type CodeKeywordDefinition } from "ajv";

/** For Ajv's `onCreate`. */
export function measureTexts(ajv: Ajv): void {
  for (const keyword of ["minLength", "maxLength"]) {
    ajv.removeKeyword(keyword);
    ajv.addKeyword({ ...length, keyword });
  }
}

const length: Omit<CodeKeywordDefinition, "keyword"> = {
  type: "string",
  schemaType: "number",
  error: { message: "has another length", params: ({ schemaCode }) => _`{limit: ${schemaCode}}` },
  code(check) {
    const { gen, keyword, data, schemaCode: limit } = check;
    const characters = _`${gen.scopeValue("func", { ref: charactersIn })}(${data})`;
    check.fail(
      keyword === "maxLength"
        ? _`${data}.length > ${limit} && ${characters} > ${limit}`
        : _`${data}.length < 2 * ${limit} && ${characters} < ${limit}`,
    );
  },
};

/** One of two UTF-16 units counts once. */
function charactersIn(text: string): number {
  let characters = 0;
  for (const _character of text) characters += 1;
  return characters;
}
