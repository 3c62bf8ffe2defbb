// What is going on, in a word for the style and in words for the user.

/** @param now what the page knows: see `app.js` */
export function state({ link, holding, hearing, questions, microphone, muted, asleep }) {
  switch (true) {
    case link === "off": return ["idle", "Not connected"];
    case link === "connecting": return ["connecting", "Connecting …"];
    case link === "asking": return ["connecting", "Allow the microphone …"];
    case link === "busy": return ["lost", "Server busy, waiting …"];
    case link === "lost": return ["lost", "Connection lost, trying again …"];
    case holding: return ["hearing", "Hearing you"];
    case questions.given !== undefined: return ["answering", "Answering"];
    case hearing !== undefined: return ["hearing", "Hearing you"];
    case questions.open: return ["answering", "Answering"];
    case !microphone: return ["listening", "No microphone"];
    case microphone.paused: return ["idle", "Microphone paused"];
    case muted: return ["idle", "Muted"];
    case asleep !== undefined: return ["idle", `Asleep: say “${asleep}”`];
    default: return ["listening", "Listening"];
  }
}
