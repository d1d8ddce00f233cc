// What the checks of every JavaScript client share. It runs in a folder that knows nothing of ours.
import { readFileSync } from "node:fs";

export const { FAREBOX_URL: url, FAREBOX_KEY: key, FAREBOX_POOR_KEY: poorKey } = process.env;
export const HELLO = "Say hello";
export const messages = [{ role: "user", content: HELLO }];
export const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
export const schema = { type: "object", properties: { city: { type: "string" } } };
// Attempts of a client that tries twice more by its own default, where it is told to come again.
export const EAGER = 3;
let asked = {};

export function served(times = 1) {
  asked.ok = (asked.ok ?? 0) + times;
}

// Expect one error that is as it should be, after as many attempts as the gateway has to have counted.
export async function refused(isRight, code, call, attempts = 1) {
  asked[code] = (asked[code] ?? 0) + attempts;
  try {
    await call();
  } catch (error) {
    if (!isRight(error)) throw error;
    return error;
  }
  throw new Error(`${code}: not refused`);
}

// Run a client's checks by name, saying one line of JSON for each; exits with how many failed.
export async function run(packages, checks) {
  const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
  const names = packages.map((name) => `${name} ${version(name)}`).join(" on ");
  const client = `${names}, Node`;
  let failed = 0;
  for (const [scenario, check] of Object.entries(checks)) {
    asked = {};
    let wrong = "";
    try {
      await check();
    } catch (error) {
      console.error(error);
      wrong = String(error).slice(0, 200);
      failed += 1;
    }
    console.log(JSON.stringify({ client, scenario, wrong, asked }));
  }
  process.exitCode = failed;
}
