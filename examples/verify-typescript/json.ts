// A strict reader of JSON. JSON.parse will not do: of two members with one name it keeps the last, and it cannot tell 1 from 1.0.

/** A text is not what it should be; reason is one of the classes of the vectors. */
export class Refused extends Error {
  readonly reason: string;

  constructor(reason: string, detail = "") {
    super(detail ? reason + ": " + detail : reason);
    this.reason = reason;
  }
}

/** A number with a fraction or an exponent, spelt -0, or too long: fine where nobody looks, refused where an integer is wanted. */
export const NOT_INTEGER = Symbol("no integer");

export type Json = null | boolean | number | typeof NOT_INTEGER | string | Json[] | { [name: string]: Json };

const DEPTH = 8;
const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const STRING = /"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/y;
const LONE_SURROGATE = /[\ud800-\udfff]/u;

class Reader {
  private at = 0;
  private readonly text: string;
  private readonly reason: string;

  constructor(text: string, reason: string) {
    this.text = text;
    this.reason = reason;
  }

  fail(detail: string): Refused {
    return new Refused(this.reason, detail);
  }

  /** The match of a sticky pattern here, which is then behind us. */
  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const m = pattern.exec(this.text);
    if (m) this.at += m[0].length;
    return m;
  }

  /** Whether the next token is this one, which is then behind us. */
  private takes(token: string): boolean {
    this.match(SPACE);
    const found = this.text.startsWith(token, this.at);
    if (found) this.at += token.length;
    return found;
  }

  private string(): string {
    this.match(SPACE);
    const m = this.match(STRING);
    if (!m) throw this.fail("expected a string");
    const out = JSON.parse(m[0]) as string;
    if (LONE_SURROGATE.test(out)) throw this.fail("lone surrogate");
    return out;
  }

  value(depth: number): Json {
    if (this.takes("{")) return this.object(depth);
    if (this.takes("[")) return this.array(depth);
    if (this.takes("null")) return null;
    if (this.takes("true")) return true;
    if (this.takes("false")) return false;
    if (this.text[this.at] === '"') return this.string();
    const m = this.match(NUMBER);
    if (!m) throw this.fail("expected a value");
    return m[1] !== undefined || m[2] !== undefined || m[0] === "-0" || m[0].length > 25 ? NOT_INTEGER : Number(m[0]);
  }

  private object(depth: number): Json {
    if (depth === DEPTH) throw this.fail("nested too deeply");
    const out: { [name: string]: Json } = Object.create(null);
    if (this.takes("}")) return out;
    do {
      const name = this.string();
      if (name in out) throw this.fail("duplicate member");
      if (!this.takes(":")) throw this.fail("expected a colon");
      out[name] = this.value(depth + 1);
    } while (this.takes(","));
    if (!this.takes("}")) throw this.fail("unfinished object");
    return out;
  }

  private array(depth: number): Json {
    if (depth === DEPTH) throw this.fail("nested too deeply");
    const out: Json[] = [];
    if (this.takes("]")) return out;
    do out.push(this.value(depth + 1));
    while (this.takes(","));
    if (!this.takes("]")) throw this.fail("unfinished array");
    return out;
  }

  end(): void {
    this.match(SPACE);
    if (this.at !== this.text.length) throw this.fail("something behind the object");
  }
}

/** Reads one JSON object: UTF-8, no duplicate member, no lone surrogate, at most eight levels, nothing behind it. */
export function readJson(raw: Uint8Array, reason = "payload"): { [name: string]: Json } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    throw new Refused(reason, "not UTF-8");
  }
  const reader = new Reader(text, reason);
  const out = reader.value(0);
  reader.end();
  if (typeof out !== "object" || out === null || Array.isArray(out)) throw reader.fail("not an object");
  return out;
}
