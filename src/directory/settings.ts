import { type TObject, Type } from "typebox";

type WithDefault = { readonly default?: unknown };

/** The default of every setting of a schema. */
export function defaultsOf(schema: TObject): Record<string, unknown> {
  const entries = Object.entries(schema.properties).map(([name, property]) => [
    name,
    (property as WithDefault).default,
  ]);
  return Object.fromEntries(entries);
}

/** The fields of a schema without their defaults: what a change names is set, what it does not name stays as it is. */
export function withoutDefaults(schema: TObject): Record<string, object> {
  return Object.fromEntries(
    Object.entries(schema.properties).map(([name, property]) => {
      const { default: _default, ...rest } = property as WithDefault;
      return [name, rest];
    }),
  );
}

/** A change of settings: any subset, nothing else. */
export function changeOf<T>(schema: TObject) {
  const properties = withoutDefaults(schema);
  return Type.Unsafe<Partial<T>>({ type: "object", properties, additionalProperties: false, minProperties: 1 });
}
