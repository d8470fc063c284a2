"""A conversation's items → the messages of a chat completion; a session's tools → its tools. Knows no server.

What somebody said aloud stands in the place of the audio. Servers insist on the answer of a function behind its call
and nowhere else, so that it is moved there; an answer whose call has been deleted says nothing to anybody and stays
out.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from models.errors import InvalidRequest
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Item, Part
from serving.realtime.fields import Json
from serving.realtime.reply import ChatOrder
from serving.realtime.settings import FunctionChoice, McpChoice, RealtimeSettings, Tool, ToolChoice

NOT_UNDERSTOOD = "[inaudible]"  # audio in which no word was understood, or that is not kept any more
NOTHING_SAID = "[silence]"
NOT_ANSWERED = "[no answer yet]"  # a function's


def order_of(params: ResponseParams, settings: RealtimeSettings, items: Sequence[Item]) -> ChatOrder:
    """What is asked for a response: what it says of itself goes before what the session says.

    Raises InvalidRequest where there is nothing to answer, or what no chat server can do is asked for.
    """
    instructions = settings.instructions if params.instructions is None else params.instructions
    messages = [{"role": "system", "content": instructions}] if instructions.strip() else []
    messages += _messages(items)
    if not messages:
        raise InvalidRequest("response", "has nothing to answer: give it instructions, or add an item.")
    reasoning = params.reasoning or settings.reasoning
    in_parallel = settings.parallel_tool_calls if params.parallel_tool_calls is None else params.parallel_tool_calls
    is_text = (params.output_modalities or settings.output_modalities) == ["text"]
    most = params.max_output_tokens or settings.max_output_tokens
    return ChatOrder(
        messages,
        [_tool(tool) for tool in (settings.tools if params.tools is None else params.tools)],
        _choice(params.tool_choice or settings.tool_choice),
        in_parallel,
        reasoning.effort if reasoning is not None else None,
        most if is_text and isinstance(most, int) else None,  # of speech they are counted as they are spoken
    )


def unheard(items: Sequence[Item]) -> list[Item]:
    """Those with audio of which it is not known yet what it says."""
    return [item for item in items if any(part.is_audio and part.known is None for part in item.parts)]


def _messages(items: Sequence[Item]) -> list[Json]:
    """Calls that follow each other are one message, with the words before them, as the model made them."""
    answers = {item.fields["call_id"]: item.fields["output"] for item in items if item.type == "function_call_output"}
    told: list[Json] = []
    for kind, group in groupby(items, key=lambda item: item.type):
        if kind == "message":
            told += [message for item in group if (message := _message(item)) is not None]
        elif kind == "function_call" and (calls := [item.fields for item in group if _is_whole_call(item)]):
            if not told or told[-1]["role"] != "assistant" or "tool_calls" in told[-1]:
                told.append({"role": "assistant", "content": None})
            told[-1]["tool_calls"] = [_call(fields) for fields in calls]
            told += [_answer(fields, answers) for fields in calls]
    return told


def _is_whole_call(item: Item) -> bool:
    """One that was cut short has arguments that are no JSON."""
    return item.status == "completed"


def _message(item: Item) -> Json | None:
    """None: of an assistant of whom nothing was heard."""
    content = "\n".join(text for part in item.parts if (text := _said(item, part)))
    return {"role": item.role, "content": content} if content else None


def _said(item: Item, part: Part) -> str:
    words = (part.known or "").strip()
    if words or not part.is_audio or item.role != "user":
        return words
    return NOTHING_SAID if item.silent else NOT_UNDERSTOOD


def _call(fields: Json) -> Json:
    function = {"name": fields["name"], "arguments": fields["arguments"] or "{}"}
    return {"id": fields["call_id"], "type": "function", "function": function}


def _answer(fields: Json, answers: Mapping[str, str]) -> Json:
    call_id = fields["call_id"]
    return {"role": "tool", "tool_call_id": call_id, "content": answers.get(call_id, NOT_ANSWERED)}


def _tool(tool: Tool) -> Json:
    given = tool.model_dump(exclude={"type"}, exclude_none=True)
    return {"type": "function", "function": given}


def _choice(choice: ToolChoice) -> Any:
    match choice:
        case FunctionChoice():
            return {"type": "function", "function": {"name": choice.name}}
        case McpChoice():
            raise InvalidRequest("tool_choice", "is of a kind that is not served here. Choose a function, or 'auto'.")
    return choice
