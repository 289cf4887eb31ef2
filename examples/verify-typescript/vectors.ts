// Runs the vectors of sdk/testdata/vectors, as their README describes them.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { evaluate } from "./evaluate.ts";
import { Refused } from "./json.ts";
import { carried, deviceDigest, licenseFile, normalKey, pinRoots, proves, publicKey, read, statusBits, thumbprint, trust } from "./mintreu.ts";
import type { Returned } from "./mintreu.ts";

type Any = any; // the vectors are trusted, and of many forms

let ran = 0, wrong = 0;

function compare(file: string, c: Any, got: Any, want: Any): void {
  ran++;
  if (isDeepStrictEqual(plain(got), plain(want))) return;
  wrong++;
  console.error(`${file}/${c.name}: ${c.says}\n  got  ${JSON.stringify(got)}\n  want ${JSON.stringify(want)}`);
}

/** The value as JSON would carry it. */
const plain = (v: Any): Any => JSON.parse(JSON.stringify(v ?? null));

/** What run returns, and why it refused. */
async function reason<T>(run: () => T | Promise<T>): Promise<{ got: T | null; error: string }> {
  try {
    return { got: await run(), error: "" };
  } catch (e) {
    if (e instanceof Refused) return { got: null, error: e.reason };
    throw e;
  }
}

/** Claims as the vectors have them: what has no value left out, what has a usual value filled in. */
function known(typ: string, claims: Any): Any {
  const empty = (v: Any) => v === "" || v === false || (typeof v === "object" && Object.keys(v).length === 0);
  const out = Object.fromEntries(Object.entries(claims).filter(([name, v]) => !empty(v) || ["ent", "dev", "keys"].includes(name))) as Any;
  if (typ === "license+jwt") {
    out.seats = { n: 0, floating: false, ...out.seats };
    out.pol = { expiry_grace: 0, match: 0, recheck: 0, fresh: 0, stale: 0, grace: 0, status_max_age: 0, ...out.pol };
  }
  return out;
}

/** An RFC 7396 merge patch. */
function merge(target: Any, patch: Any): Any {
  const out = { ...target };
  for (const [name, v] of Object.entries(patch)) {
    if (v === null) delete out[name];
    else out[name] = typeof v === "object" && !Array.isArray(v) ? merge(typeof out[name] === "object" && !Array.isArray(out[name]) ? out[name] : {}, v) : v;
  }
  return out;
}

/** Runs all files of a directory; true when there are some and none is wrong. */
export async function vectors(directory: string): Promise<boolean> {
  const load = (...name: string[]): Any => JSON.parse(readFileSync(join(directory, ...name), "utf8"));
  const f = load("document", "token.json");
  for (const c of f.cases) {
    const keys = c.typ === "keyset+jwt" ? await pinRoots(f.roots) : await trust(f.trust[c.trust ?? "usual"]);
    const { got, error } = await reason(() => read(c.token, c.typ, {
      keys, now: c.now ?? f.now, issuer: c.issuer ?? f.issuer, audience: c.audience ?? f.audience, environment: c.env, uri: c.uri, floor: c.floor,
    }));
    compare("token", c, { claims: got && known(c.typ, got), error }, { claims: c.claims ?? null, error: c.error ?? "" });
  }
  for (const c of load("document", "file.json").cases) {
    compare("file", c, await reason(() => licenseFile(c.text)), { got: c.file ?? null, error: c.error ?? "" });
  }
  for (const c of load("document", "status.json").cases) {
    const { got, error } = await reason(() => statusBits(c.lst));
    const values = got && Object.fromEntries(Object.keys(c.values).map((k) => [k, got(Number(k))]));
    compare("status", c, { values, error }, { values: c.values ?? null, error: c.error ?? "" });
  }
  for (const c of load("document", "airgap.json").cases) {
    const { got, error } = await reason(() => carried(c.kind === "request" ? "MREQ1." : "MREL1.", c.text));
    const good = got !== null && c.kind === "return" && proves(got as Returned, c.lease);
    compare("airgap", c, { got, error, good }, { got: c.content ?? null, error: c.error ?? "", good: c.proves ?? false });
  }
  for (const c of load("document", "device.json").cases) compare("device", c, deviceDigest(c.product, c.component, c.value), c.digest);
  for (const c of load("document", "licensekey.json").cases) compare("licensekey", c, normalKey(c.text), [c.key, c.checked]);
  for (const c of load("document", "publickey.json").cases) {
    const { got, error } = await reason(() => (publicKey(c.x), thumbprint(c.x)));
    compare("publickey", c, { got, error }, { got: c.kid ?? null, error: c.error ?? "" });
  }
  for (const name of readdirSync(join(directory, "eval")).sort()) decisions(name, load("eval", name));
  console.log(`${ran} vectors, ${wrong} wrong`);
  return ran > 0 && wrong === 0;
}

function decisions(name: string, f: Any): void {
  for (const c of f.cases) {
    const lic = c.license === null ? null : merge(f.license, c.license ?? {});
    const lease = c.lease === null || (f.lease === null && c.lease === undefined) ? null : merge(f.lease, c.lease ?? {});
    compare(name, c, evaluate(lic, lease, c.status ?? null, merge(f.request, c.request ?? {}), c.now, c.known), c.want);
  }
}
