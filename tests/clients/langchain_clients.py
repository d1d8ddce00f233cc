"""LangChain's models of OpenAI's and Anthropic's interfaces, on top of the official clients."""

from __future__ import annotations

import sys

import anthropic
import openai
from asking import EAGER, FUNCTION, HELLO, KEY, POOR_KEY, URL, refused, run, served
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


def of_openai(model: str = "sim-mini", key: str = KEY, **options: object) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=key, model=model, **options)


def of_anthropic(model: str = "sim-mini", key: str = KEY, **options: object) -> ChatAnthropic:
    return ChatAnthropic(base_url=f"{URL}/anthropic", api_key=key, model=model, max_tokens=100, **options)


def use(plain: BaseChatModel, caller: BaseChatModel) -> None:
    answer = plain.invoke(HELLO)
    assert answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    assert "".join(str(piece.content) for piece in plain.stream(HELLO))
    called = caller.bind_tools([{"type": "function", "function": FUNCTION}]).invoke(HELLO)
    assert called.tool_calls[0]["name"] == "get_weather"
    served(3)


def chat() -> None:
    use(of_openai(), of_openai("sim-tools"))


def responses() -> None:
    use(of_openai(use_responses_api=True), of_openai("sim-tools", use_responses_api=True))


def messages() -> None:
    use(of_anthropic(), of_anthropic("sim-tools"))


def embeddings() -> None:
    # Its own default sends token ids of a public tokenizer, which it looks up in the network.
    made = OpenAIEmbeddings(
        base_url=f"{URL}/v1", api_key=KEY, model="sim-mini", check_embedding_ctx_length=False
    )
    assert [len(one) for one in made.embed_documents(["one", "two words"])] == [8, 8]
    served()


def at_the_limit_of_openai() -> None:
    for options in ({}, {"use_responses_api": True}):
        poor = of_openai(key=POOR_KEY, **options)
        for call in (lambda poor=poor: poor.invoke(HELLO), lambda poor=poor: list(poor.stream(HELLO))):
            assert refused(openai.APIStatusError, "budget_exceeded", call).code == "budget_exceeded"


def at_the_limit_of_anthropic() -> None:
    poor = of_anthropic(key=POOR_KEY)
    for call in (lambda: poor.invoke(HELLO), lambda: list(poor.stream(HELLO))):
        assert refused(anthropic.PaymentRequiredError, "budget_exceeded", call).status_code == 402


def told_to_come_again(kind: type[Exception], eager: BaseChatModel, once: BaseChatModel) -> None:
    refused(kind, "provider_rate_limited", lambda: once.invoke(HELLO))
    refused(kind, "provider_rate_limited", lambda: eager.invoke(HELLO), attempts=EAGER)


LIMITED = "sim-error-429"
CHECKS = {
    "langchain-openai openai": {
        "chat: JSON, stream, tools": chat,
        "responses: JSON, stream, tools": responses,
        "embeddings": embeddings,
        "at the limit: one attempt, typed": at_the_limit_of_openai,
        "429 of a provider: attempts": lambda: told_to_come_again(
            openai.RateLimitError, of_openai(LIMITED), of_openai(LIMITED, max_retries=0)
        ),
    },
    "langchain-anthropic anthropic": {
        "messages: JSON, stream, tools": messages,
        "at the limit: one attempt, typed": at_the_limit_of_anthropic,
        "429 of a provider: attempts": lambda: told_to_come_again(
            anthropic.RateLimitError, of_anthropic(LIMITED), of_anthropic(LIMITED, max_retries=0)
        ),
    },
}

if __name__ == "__main__":
    packages = next(each for each in CHECKS if each.startswith(sys.argv[1]))
    run(packages, CHECKS[packages])
