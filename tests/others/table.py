"""Which clients of others are tried, and what of it is known not to work."""

CLIENTS: dict[str, dict[str, str]] = {
    "Pipecat": {"pipecat-ai[openai]": "1.14.0"},
    "LiveKit Agents": {"livekit-agents[openai]": "1.8.9"},
    "Vercel AI SDK": {"ai": "6.0.326", "@ai-sdk/openai": "3.0.141"},
    "@openai/agents": {"@openai/agents": "0.20.0"},
}
"""Packages of each client, from PyPI or npm, and their versions."""

NOT: dict[str, set[str]] = {"Vercel AI SDK": {"use the Responses API"}}
"""Steps that fail, by decision."""
