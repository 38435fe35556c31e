/**
 * Prints src/storage/tables.ts from a freshly migrated database, so that SQL stays the one truth about tables.
 * `--check` compares instead of writing and exits with 1 when they differ.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const target = fileURLToPath(new URL("../src/storage/tables.ts", import.meta.url));
const Database = createRequire(import.meta.url)("libsql");
const { migrate } = await import("../dist/storage/migrate.js");

const folder = mkdtempSync(join(tmpdir(), "latchkey-tables-"));
const path = join(folder, "tables.db");
await migrate(`sqlite:${path}`);
const db = new Database(path);
const objects = db
  .prepare(
    "select name, type, sql from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' order by name",
  )
  .all();
const columnsOf = (name) =>
  db.prepare(`select name, type, "notnull", dflt_value from pragma_table_info('${name}') order by cid`).all();
const text = print();
db.close();
rmSync(folder, { recursive: true });

if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("src/storage/tables.ts differs from the migrations; run `npm run tables`");
    process.exit(1);
  }
} else writeFileSync(target, text);

function print() {
  const blocks = objects.map(({ name, type, sql }) => {
    // A view's columns say nothing about null: take them from the table it reads.
    const source = type === "view" ? /\bfrom (\w+)/.exec(sql)[1] : name;
    const known = new Map(columnsOf(source).map((column) => [column.name, column]));
    const lines = columnsOf(name).map(
      (column) => `  ${column.name}: ${typeOf(known.get(column.name) ?? column, type === "view")};`,
    );
    return `export interface ${typeName(name)} {\n${lines.join("\n")}\n}\n`;
  });
  const index = objects.map(({ name }) => `  ${name}: ${typeName(name)};`).join("\n");
  const named = objects
    .filter(({ type }) => type === "table")
    .map(
      ({ name }) =>
        `  ${name}: [${columnsOf(name)
          .map((column) => `"${column.name}"`)
          .join(", ")}],`,
    )
    .join("\n");
  return `// Generated from the migrations by scripts/tables.mjs. Do not edit.
import type { Generated } from "kysely";

${blocks.join("\n")}
export interface Tables {
${index}
}

/**
 * All columns of each table, by name: what a newer process adds to a table changes nothing for one that runs, and
 * PostgreSQL keeps the plan of a statement only while its columns are the same.
 */
export const columns = {
${named}
} as const satisfies { readonly [T in keyof Tables]?: readonly (keyof Tables[T])[] };
`;
}

function typeOf(column, isView) {
  const base = { INTEGER: "number", BLOB: "Uint8Array", TEXT: "string" }[column.type.toUpperCase()];
  if (!base) throw new Error(`unknown column type ${column.type}`);
  const type = column.notnull ? base : `${base} | null`;
  return column.dflt_value !== null && !isView ? `Generated<${type}>` : type;
}

function typeName(name) {
  return name
    .split("_")
    .map((part) => part[0].toUpperCase() + part.slice(1))
    .join("");
}
