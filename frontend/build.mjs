// Copies the browser files we ship from node_modules into the package and checks that NOTICE names each of them with its
// exact version, so that a forgotten licence fails the build instead of the reader.
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const vendor = join(here, "../src/quntedge/web/static/vendor");

const files = [
  ["htmx.org/dist/htmx.min.js", "htmx.min.js"],
  ["htmx.org/LICENSE", "htmx.LICENSE.txt"],
  ["@fontsource-variable/inter/files/inter-latin-opsz-normal.woff2", "inter/inter-latin-opsz-normal.woff2"],
  ["@fontsource-variable/inter/files/inter-latin-ext-opsz-normal.woff2", "inter/inter-latin-ext-opsz-normal.woff2"],
  ["@fontsource-variable/inter/LICENSE", "inter/LICENSE.txt"],
];
const shipped = ["htmx.org", "@fontsource-variable/inter", "tailwindcss", "daisyui"];

for (const [from, to] of files) {
  await mkdir(dirname(join(vendor, to)), { recursive: true });
  await copyFile(join(modules, from), join(vendor, to));
}

const notice = await readFile(join(here, "../NOTICE"), "utf8");
const missing = [];
for (const name of shipped) {
  const { version } = JSON.parse(await readFile(join(modules, name, "package.json"), "utf8"));
  if (!notice.includes(`${name} ${version}`)) missing.push(`${name} ${version}`);
}
if (missing.length > 0) {
  console.error(`NOTICE does not name: ${missing.join(", ")}. Add each with its licence and build again.`);
  process.exit(1);
}
console.log(`Vendored ${files.length} files; NOTICE is complete.`);
