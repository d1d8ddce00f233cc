// Vercel's AI SDK on three interfaces. It decides by status alone whether to try again, and reads no x-should-retry.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, embed, generateText, jsonSchema, RetryError, streamText, tool } from "ai";
import { EAGER, HELLO, key, poorKey, refused, run, schema, served, url } from "./asking.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = (apiKey = key) => createOpenAI({ baseURL: `${url}/v1`, apiKey });
const models = {
  chat: (name, apiKey) => openai(apiKey).chat(name),
  responses: (name, apiKey) => openai(apiKey).responses(name),
  messages: (name, apiKey = key) => createAnthropic({ baseURL: `${url}/anthropic/v1`, apiKey })(name),
};
const ask = (model, options = {}) => ({ model, prompt: HELLO, maxOutputTokens: 100, ...options });

async function use(modelOf) {
  const answer = await generateText(ask(modelOf("sim-mini")));
  assert(answer.text && answer.usage.outputTokens > 0);
  const stream = streamText(ask(modelOf("sim-words-20")));
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert(text.endsWith("tok20 "));
  assert.equal((await stream.usage).outputTokens, 20);
  const tools = { get_weather: tool({ description: "Tell the weather", inputSchema: jsonSchema(schema) }) };
  const called = await generateText(ask(modelOf("sim-tools"), { tools }));
  assert.equal(called.toolCalls[0].toolName, "get_weather");
  served(3);
}

// A stream's error comes by a callback.
async function drain(model) {
  let failed;
  const stream = streamText(ask(model, { onError: ({ error }) => (failed = error) }));
  for await (const piece of stream.textStream) assert(piece);
  if (failed) throw failed;
}

async function atTheLimit(modelOf) {
  const poor = modelOf("sim-mini", poorKey);
  for (const call of [() => generateText(ask(poor)), () => drain(poor)]) {
    const over = await refused(APICallError.isInstance, "budget_exceeded", call);
    assert.deepEqual([over.statusCode, over.isRetryable], [402, false]);
    assert(over.responseBody.includes('"budget_exceeded"'));
  }
}

async function toldToComeAgain(modelOf) {
  const limited = (options) => () => generateText(ask(modelOf("sim-error-429"), options));
  await refused(APICallError.isInstance, "provider_rate_limited", limited({ maxRetries: 0 }));
  await refused(RetryError.isInstance, "provider_rate_limited", limited({}), EAGER);
}

// 502 is final, but its status says the opposite to whoever reads nothing else.
async function finalByHeader() {
  const failing = (options) => () => generateText(ask(models.chat("sim-error-401"), options));
  await refused(APICallError.isInstance, "provider_auth_failed", failing({ maxRetries: 0 }));
}

async function embeddings() {
  assert.equal((await embed({ model: openai().textEmbeddingModel("sim-mini"), value: HELLO })).embedding.length, 8);
  served();
}

const checks = { embeddings };
for (const [name, modelOf] of Object.entries(models)) {
  checks[`${name}: JSON, stream, tools`] = () => use(modelOf);
  checks[`${name} at the limit: one attempt, typed`] = () => atTheLimit(modelOf);
  checks[`${name}, 429 of a provider: attempts`] = () => toldToComeAgain(modelOf);
}
checks["a final 502: maxRetries 0"] = finalByHeader;
await run(["ai", "@ai-sdk/openai", "@ai-sdk/anthropic"], checks);
