// Anthropic's JavaScript client.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { EAGER, key, messages, png, poorKey, refused, run, schema, served, url } from "./asking.mjs";

const clientOf = (apiKey = key, options = {}) => new Anthropic({ baseURL: `${url}/anthropic`, apiKey, ...options });
const cap = { max_tokens: 100, messages };
const creating = (client, model = "sim-mini") => () => client.messages.create({ model, ...cap });
const a = (kind) => (error) => error instanceof kind;

async function use() {
  const client = clientOf();
  assert((await client.messages.create({ model: "sim-mini", ...cap })).content[0].text);
  const final = await client.messages.stream({ model: "sim-words-20", ...cap }).finalMessage();
  assert.equal(final.usage.output_tokens, 20);
  const tools = [{ name: "get_weather", input_schema: schema }];
  const called = await client.messages.create({ model: "sim-tools", ...cap, tools });
  assert.equal(called.stop_reason, "tool_use");
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: png } };
  const shown = [{ role: "user", content: [picture, { type: "text", text: "What is it?" }] }];
  assert((await client.messages.create({ model: "sim-mini", max_tokens: 100, messages: shown })).content.length);
  assert.equal((await client.messages.countTokens({ model: "sim-mini", messages })).input_tokens, 8);
  served(5);
}

async function atTheLimit() {
  const poor = clientOf(poorKey);
  for (const call of [creating(poor), () => poor.messages.stream({ model: "sim-mini", ...cap }).finalMessage()]) {
    const over = await refused(a(Anthropic.APIError), "budget_exceeded", call);
    assert.equal(over.status, 402);
    assert.deepEqual([over.error.error.type, over.error.error.code], ["billing_error", "budget_exceeded"]);
  }
}

async function otherRefusals() {
  await refused(a(Anthropic.AuthenticationError), "invalid_key", creating(clientOf("nonsense")));
  await refused(a(Anthropic.NotFoundError), "model_not_found", creating(clientOf(), "sim-unknown"));
  await refused(a(Anthropic.InternalServerError), "provider_auth_failed", creating(clientOf(), "sim-error-401"));
}

async function toldToComeAgain() {
  const limited = (options) => creating(clientOf(key, options), "sim-error-429");
  await refused(a(Anthropic.RateLimitError), "provider_rate_limited", limited({ maxRetries: 0 }));
  await refused(a(Anthropic.RateLimitError), "provider_rate_limited", limited({}), EAGER);
}

await run(["@anthropic-ai/sdk"], {
  "messages: JSON, stream, tools, picture, counting": use,
  "at the limit: one attempt, typed": atTheLimit,
  "other refusals": otherRefusals,
  "429 of a provider: attempts": toldToComeAgain,
});
