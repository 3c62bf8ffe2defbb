"""How calls are written is read from an LLM's own template."""

import pytest

from assistant.parts.tiny import toy_llm
from assistant.tools.form import HERMES, Form, form_of

QWEN = """\
{%- if tools %}system: <tool_call> {{ tools | tojson }}{% endif %}
{%- for message in messages %}
{%- if message.tool_calls %}
{{- '<|im_start|>assistant' }}
{%- for call in message.tool_calls %}
{%- set call = call.function %}
{{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}{{ call.arguments | tojson }}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}"""

MARKED = """\
{%- for message in messages %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
{{- '[CALL] {"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}' }}
{%- endfor %}</s>
{%- endfor %}"""

UNMARKED = MARKED.replace("[CALL] ", "")

FAILS = "{{ raise_exception('no tools') }}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (QWEN, HERMES),
        (MARKED, Form("[CALL]", ' {"name": "', '", "arguments": ', "}", "")),
        (UNMARKED, None),
        ("{% for message in messages %}{{ message.content }}{% endfor %}", None),
        (FAILS, None),
        (None, None),
    ],
)
def test_the_form_is_that_of_the_template(template: str | None, expected: Form | None) -> None:
    _, tokenizer = toy_llm(3)
    tokenizer.chat_template = template
    assert form_of(tokenizer) == expected
