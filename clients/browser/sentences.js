// What the page says in words of its own.

const UNDERSTANDABLE = {
  nothing_to_do: "Nothing was heard that could be answered.",
  input_audio_buffer_commit_empty: "Nothing was heard that could be answered.",
  context_full: "The question is longer than the model can read. Ask a shorter one.",
  string_above_max_length: "The question is longer than the model can read. Ask a shorter one.",
  unknown_parameter: "This page and the server do not fit together. Load the page anew.",
  session_expired: "This session is over; a new one begins.",
};

/** An error of the server's, for somebody who does not know the protocol. */
export function understandable({ code, message }) { return UNDERSTANDABLE[code] ?? message; }

export function soon(seconds) { return seconds > 50 ? "a minute" : `${Math.max(1, seconds)} s`; }
