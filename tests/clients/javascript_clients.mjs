// JavaScript's official clients. Runs in a folder that knows nothing of ours.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { FAREBOX_URL: url, FAREBOX_KEY: key, FAREBOX_POOR_KEY: poorKey } = process.env;
const messages = [{ role: "user", content: "Say hello" }];
const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const schema = { type: "object", properties: { city: { type: "string" } } };
const asked = {};
const count = (code, times = 1) => (asked[code] = (asked[code] ?? 0) + times);
const openai = (apiKey = key, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey, ...options });
const anthropic = (apiKey = key, options = {}) => new Anthropic({ baseURL: `${url}/anthropic`, apiKey, ...options });

// One typed refusal, sent once although the client would try again by itself.
async function refused(kind, code, call) {
  count(code);
  try {
    await call();
  } catch (error) {
    assert(error instanceof kind, `${code}: ${error}`);
    return error;
  }
  throw new Error(`${code}: not refused`);
}

async function openaiServes() {
  const client = openai();
  const answer = await client.chat.completions.create({ model: "sim-mini", messages });
  assert(answer.choices[0].message.content);
  const options = { stream: true, stream_options: { include_usage: true } };
  let last;
  for await (const piece of await client.chat.completions.create({ model: "sim-words-20", messages, ...options }))
    last = piece;
  assert.equal(last.usage.completion_tokens, 20);
  const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
  const called = await client.chat.completions.create({ model: "sim-tools", messages, tools });
  assert.equal(called.choices[0].message.tool_calls[0].function.name, "get_weather");
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
  const shown = [{ role: "user", content: [{ type: "text", text: "What is it?" }, picture] }];
  assert((await client.chat.completions.create({ model: "sim-mini", messages: shown })).choices[0].message.content);
  count("ok", 4);
}

async function openaiRefuses() {
  const create = (client, model = "sim-mini") => () => client.chat.completions.create({ model, messages });
  const over = await refused(OpenAI.APIError, "budget_exceeded", create(openai(poorKey)));
  assert.deepEqual([over.status, over.code], [402, "budget_exceeded"]);
  assert.equal((await refused(OpenAI.AuthenticationError, "invalid_key", create(openai("nonsense")))).code, "invalid_key");
  await refused(OpenAI.NotFoundError, "model_not_found", create(openai(), "sim-unknown"));
  await refused(OpenAI.RateLimitError, "provider_rate_limited", create(openai(key, { maxRetries: 0 }), "sim-error-429"));
  await refused(OpenAI.InternalServerError, "provider_auth_failed", create(openai(), "sim-error-401"));
}

async function anthropicServes() {
  const client = anthropic();
  const cap = { max_tokens: 100, messages };
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
  count("ok", 5);
}

async function anthropicRefuses() {
  const create = (client, model = "sim-mini") => () => client.messages.create({ model, max_tokens: 100, messages });
  const over = await refused(Anthropic.APIError, "budget_exceeded", create(anthropic(poorKey)));
  assert.equal(over.status, 402);
  assert.deepEqual([over.error.error.type, over.error.error.code], ["billing_error", "budget_exceeded"]);
  await refused(Anthropic.AuthenticationError, "invalid_key", create(anthropic("nonsense")));
  await refused(Anthropic.NotFoundError, "model_not_found", create(anthropic(), "sim-unknown"));
  await refused(Anthropic.RateLimitError, "provider_rate_limited", create(anthropic(key, { maxRetries: 0 }), "sim-error-429"));
  await refused(Anthropic.InternalServerError, "provider_auth_failed", create(anthropic(), "sim-error-401"));
}

console.log(`Node ${process.version}`);
for (const check of [openaiServes, openaiRefuses, anthropicServes, anthropicRefuses]) {
  await check();
  console.log(check.name);
}
console.log(JSON.stringify(asked));
