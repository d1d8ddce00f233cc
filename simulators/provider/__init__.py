"""A stand-in LLM provider that speaks OpenAI's chat and Anthropic's messages, misbehaves on request, bills itself.

Owns: an HTTP server on loopback, a token count, a price table, a request log and the bill that follows from
them. Shares no code with what it judges: it imports the standard library, httptools and uvloop, nothing of
ours and nothing that prices or tokenises.

Start it with `python -m simulators.provider --port 9100`; it refuses to start when FAREBOX_ENV=production.

The public token rule, which callers count by themselves:

* prompt = 2 + for each message (4 + words of its content, as `str.split()` sees them; of content parts, the
  words of the text parts) + the UTF-8 bytes of `tools` and of `response_format`, each as compact JSON
  (separators `,` and `:`, not ASCII-escaped), when present and not null.
* Anthropic's prompt = the same 2 and 4, the words of the system prompt and of each message's text blocks (those
  inside tool results included; thinking, tool calls and media count nothing), and the bytes of `tools`, of
  `output_format` and of `output_config`. `input_tokens` leaves out what was read from or written to the cache.
* embeddings and the older completions' prompt = the words of each text, token ids one by one; a completion's
  `suffix` counts once per prompt, answers that `best_of` throws away count like all others. Moderations are free.
* A Responses prompt = the same 2, then 4 + words for the instructions and for each item of the input (a message's
  texts, a call's name and arguments, a result's output; reasoning counts nothing), and the bytes of `tools` and of
  `text`. A compaction (`/v1/responses/compact`) takes no cap and never comes to more than 1,024.
* Gemini's prompt = the same 2 and 4, the words of the system instruction and of each turn's text parts (calls, media
  and thoughts count nothing), and the bytes of `tools`, of `responseSchema` and of `responseJsonSchema`. What is
  embedded counts its words alone, titles included.
* completion = one per word emitted. A tool call is one for its name and one per word of its arguments.
  Reasoning counts as completion. `n` choices are counted each.

OpenAI's dialect is under `/v1` (chat, completions, embeddings, moderations, models); Anthropic's is
`POST /v1/messages` and `/anthropic/v1/messages`, and their `/count_tokens`, which is never billed.
Gemini's is `POST /v1beta/models/<model>:<method>` (generateContent, streamGenerateContent as events or as one
array, embedContent, batchEmbedContents; countTokens, which is never billed); `sim-noprompt`, `sim-nocandidates`,
`sim-mismatch` (a total that is no sum), `sim-lastusage`, `sim-blocked` and `sim-grounded` are for it alone.
`sim-cachewrite-20`, `sim-cachewrite1h-20` and the following are for Anthropic's alone, where the request has the tool
or the edit for it: `sim-searches-3` searches the web (200 tokens each, every later prompt bills them again, and a fee),
`sim-compacted-50` bills a summary and `sim-advised-50` another model's advice in `iterations` alone,
`sim-iterations` lists a single sampling, too. `sim-countover-2` and `sim-countunder-2` count so many per cent off.
`sim-usage-total-only`, `-total-more` and `-total-less` are for embeddings and the older completions.

A model's name is its script: `sim-<behaviour>[-<number>]…`, behaviours joined at will, as in
`sim-exact-slow-200` (`script.py` has them all). A header `x-sim-script: {"latency_ms": 20, "cut_after": 5}`
overrides the name. `GET /_sim/bill` (`?records=1` for every record), `/_sim/log` and `/_sim/prices` show the
books, `POST /_sim/reset` empties them.

Keeps: every request that reached it has exactly one record, also when it was refused, cut or hung up; what
was generated is billed whether or not it was reported or read; money is integer nano-dollars, rounded up once.
"""

from __future__ import annotations
