// Verifies a Mintreu license file without Mintreu, or runs the vectors.
//
//     node build/verify.js FILE --root=KEY --product SLUG [--issuer URL] [--env live] [--now SECONDS] [--version 2.1.0]
//     node build/verify.js --vectors DIRECTORY
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { evaluate } from "./evaluate.ts";
import type { Status } from "./evaluate.ts";
import { Refused } from "./json.ts";
import { licenseFile, pinRoots, read, statusBits, trust } from "./mintreu.ts";
import { vectors } from "./vectors.ts";

const { values: a, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    vectors: { type: "string" }, root: { type: "string", multiple: true }, product: { type: "string" }, issuer: { type: "string" },
    env: { type: "string", default: "live" }, version: { type: "string", default: "" }, now: { type: "string" },
  },
});

/** Verifies the file's documents from the root down, and decides. */
async function check(file: string, roots: string[], product: string): Promise<boolean> {
  const now = a.now ? Number(a.now) : Math.floor(Date.now() / 1000), env = a.env!;
  const parts = licenseFile(readFileSync(file, "utf8"));
  const keyset = await read(parts.keyset, "keyset+jwt", { keys: await pinRoots(roots), now });
  const want = { keys: await trust(keyset.keys), now, issuer: a.issuer ?? keyset.iss, audience: product, environment: env };
  const license = await read(parts.license, "license+jwt", want);
  const lease = parts.lease ? await read(parts.lease, "lease+jwt", want) : null;
  let status: Status | null = null;
  const ref = license.status?.status_list;
  if (parts.status_list && ref) {
    const list = await read(parts.status_list, "statuslist+jwt", { ...want, uri: ref.uri });
    status = { value: statusBits(list.status_list.lst)(ref.idx), iat: list.iat, exp: list.exp };
  }
  // Whether this is the device of the lease is for the product to say, which knows its own components.
  const decision = evaluate(license, lease, status, { product, env, version: a.version, device: lease?.dev, user: lease?.usr }, now);
  console.log(JSON.stringify({ license: license.sub, plan: license.plan, features: (lease ?? license).ent, ...decision }));
  return decision.allowed;
}

try {
  const [file] = positionals;
  if (a.vectors) {
    process.exitCode = (await vectors(a.vectors)) ? 0 : 1;
  } else if (!file || !a.root || !a.product) {
    console.error("give a license file, --root and --product");
    process.exitCode = 2;
  } else {
    process.exitCode = (await check(file, a.root, a.product)) ? 0 : 1;
  }
} catch (e) {
  if (!(e instanceof Refused)) throw e;
  console.error("refused:", e.message);
  process.exitCode = 1;
}
