// OpenAI's JavaScript client.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { EAGER, HELLO, key, messages, png, poorKey, refused, run, schema, served, url } from "./asking.mjs";

const clientOf = (apiKey = key, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey, ...options });
const creating = (client, model = "sim-mini") => () => client.chat.completions.create({ model, messages });
const a = (kind) => (error) => error instanceof kind;
const tool = { name: "get_weather", parameters: schema };

async function chat() {
  const client = clientOf();
  const answer = await client.chat.completions.create({ model: "sim-mini", messages });
  assert(answer.choices[0].message.content);
  const options = { stream: true, stream_options: { include_usage: true } };
  let last;
  for await (const piece of await client.chat.completions.create({ model: "sim-words-20", messages, ...options }))
    last = piece;
  assert.equal(last.usage.completion_tokens, 20);
  const tools = [{ type: "function", function: tool }];
  const called = await client.chat.completions.create({ model: "sim-tools", messages, tools });
  assert.equal(called.choices[0].message.tool_calls[0].function.name, "get_weather");
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
  const shown = [{ role: "user", content: [{ type: "text", text: "What is it?" }, picture] }];
  assert((await client.chat.completions.create({ model: "sim-mini", messages: shown })).choices[0].message.content);
  served(4);
}

async function responses() {
  const client = clientOf();
  assert((await client.responses.create({ model: "sim-mini", input: HELLO })).output_text);
  const final = await client.responses.stream({ model: "sim-words-20", input: HELLO }).finalResponse();
  assert.equal(final.usage.output_tokens, 20);
  const tools = [{ type: "function", strict: false, ...tool }];
  const called = await client.responses.create({ model: "sim-tools", input: HELLO, tools });
  assert.equal(called.output.at(-1).name, "get_weather");
  served(3);
}

async function otherRoutes() {
  const client = clientOf();
  const made = await client.embeddings.create({ model: "sim-mini", input: ["one", "two words"] });
  assert.deepEqual(made.data.map((one) => one.embedding.length), [8, 8]);
  const answer = await client.completions.create({ model: "sim-mini", prompt: HELLO, max_tokens: 20 });
  assert.equal(answer.usage.completion_tokens, 20);
  assert((await client.moderations.create({ input: HELLO })).results.length);
  assert((await client.models.list()).data.some((model) => model.id === "sim-mini"));
  served(4);
}

async function atTheLimit() {
  const poor = clientOf(poorKey);
  const calls = [
    creating(poor),
    () => poor.chat.completions.create({ model: "sim-mini", messages, stream: true }),
    () => poor.responses.create({ model: "sim-mini", input: HELLO }),
    () => poor.responses.stream({ model: "sim-mini", input: HELLO }).finalResponse(),
  ];
  for (const call of calls) {
    const over = await refused(a(OpenAI.APIError), "budget_exceeded", call);
    assert.deepEqual([over.status, over.code], [402, "budget_exceeded"]);
  }
}

async function otherRefusals() {
  const unknown = await refused(a(OpenAI.AuthenticationError), "invalid_key", creating(clientOf("nonsense")));
  assert.equal(unknown.code, "invalid_key");
  await refused(a(OpenAI.NotFoundError), "model_not_found", creating(clientOf(), "sim-unknown"));
  await refused(a(OpenAI.InternalServerError), "provider_auth_failed", creating(clientOf(), "sim-error-401"));
}

async function toldToComeAgain() {
  const limited = (options) => creating(clientOf(key, options), "sim-error-429");
  await refused(a(OpenAI.RateLimitError), "provider_rate_limited", limited({ maxRetries: 0 }));
  await refused(a(OpenAI.RateLimitError), "provider_rate_limited", limited({}), EAGER);
}

await run(["openai"], {
  "chat: JSON, stream, usage, tools, picture": chat,
  "responses: JSON, stream, tools": responses,
  "embeddings, completions, moderations, models": otherRoutes,
  "at the limit: one attempt, typed": atTheLimit,
  "other refusals": otherRefusals,
  "429 of a provider: attempts": toldToComeAgain,
});
