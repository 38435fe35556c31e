import { type TProperties, Type } from "typebox";

const Instant = (description: string) => Type.String({ format: "date-time", description });

/** Fields that every entity of the directory has; they are never written by a caller. */
export const entity_properties = {
  id: Type.String({ description: "uuid" }),
  created_at: Instant("When it was created."),
  created_by: Type.Optional(Type.String({ description: "Id of the client or user that created it." })),
  updated_at: Instant("When it last changed."),
  deleted_at: Type.Optional(Instant("When it was deleted.")),
  deleted_by: Type.Optional(Type.String({ description: "Id of the client or user that deleted it." })),
} satisfies TProperties;

type Present<T> = { [K in keyof T as null extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as null extends T[K] ? K : never]?: Exclude<T[K], null>;
};

/** An entity on the wire leaves out what it does not have. */
export function withoutNulls<T extends object>(entity: T): Present<T> {
  return Object.fromEntries(Object.entries(entity).filter(([, value]) => value !== null)) as Present<T>;
}
