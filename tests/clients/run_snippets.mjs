// Run snippets one after the other, each with variables of its own. What run_snippets.py does for Python, for Node.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
process.on("unhandledRejection", () => {});
for (const one of JSON.parse(fs.readFileSync(0, "utf8"))) {
  Object.assign(process.env, one.variables);
  const file = path.join(folder, `${one.name}.mjs`);
  fs.writeFileSync(file, `${one.code}\nexport { answer };\n`);
  let said;
  try {
    said = { answer: (await import(pathToFileURL(file))).answer };
  } catch (error) {
    said = { error: `${error.name}: ${error.message} ${error.cause?.message ?? ""}` };
  }
  console.log(JSON.stringify({ name: one.name, ...said }));
}
process.exit(0);
