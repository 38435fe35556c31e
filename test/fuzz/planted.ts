/** A parser with a fault that only one who finds the way through every step comes upon. */
export function planted(text: string): number {
  const object = text.indexOf("{");
  if (object < 0) return 0;
  const address = text.indexOf("[::1]", object);
  if (address < 0) return 1;
  const escaped = text.indexOf("%00", address);
  if (escaped < 0) return 2;
  if (text.indexOf("null", escaped) < 0) return 3;
  throw new Error("the planted fault");
}
