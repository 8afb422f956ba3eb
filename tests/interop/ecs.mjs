// Holds a JSON document to the Elastic Common Schema as @elastic/ecs publishes it: every field is one of the schema's,
// of its type, one of its allowed values, and a list only where the schema has lists. `sandsift` is our own name.
// Usage: node ecs.mjs FOLDER DOCUMENT (FOLDER has node_modules)
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [folder, name] = process.argv.slice(2);
const { EcsFlat, EcsVersion } = createRequire(join(resolve(folder), 'x.js'))('@elastic/ecs');
const fits = {
  long: Number.isInteger, integer: Number.isInteger, float: Number.isFinite, boolean: (v) => typeof v === 'boolean',
  date: (v) => typeof v === 'string' && !Number.isNaN(Date.parse(v)),
  ip: (v) => typeof v === 'string' && /^[0-9a-fA-F.:]+$/.test(v),
};
const problems = [];
let fields = 0;
const visit = (path, value) => {
  const field = EcsFlat[path];
  if (!field && value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) visit(path ? `${path}.${key}` : key, inner);
    return;
  }
  fields += 1;
  if (!field) return problems.push(`${path}: no field of ECS`);
  if (Array.isArray(value) && !field.normalize?.includes('array')) problems.push(`${path}: ECS has one value here`);
  for (const one of Array.isArray(value) ? value : [value]) {
    const fit = fits[field.type] ?? ((v) => typeof v === 'string');
    if (!fit(one)) problems.push(`${path}: ${JSON.stringify(one)} is not of type ${field.type}`);
    const allowed = field.allowed_values?.map((v) => v.name);
    if (allowed?.length && !allowed.includes(one)) problems.push(`${path}: ${one} is not allowed`);
  }
};
const { sandsift, ...document } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
visit('', document);
if (document.ecs.version !== EcsVersion) problems.push(`ecs.version: the schema is ${EcsVersion}`);
for (const problem of problems) console.error(`ecs: ${problem}`);
if (problems.length) process.exit(1);
console.log(`ecs: the golden document's ${fields} fields are those of ECS ${EcsVersion}`);
