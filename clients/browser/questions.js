// Questions that are not answered yet. One answer of a conversation is under way at a time: what is asked
// meanwhile waits here. What is asked while someone speaks waits at the server, until they were answered.

const TOO_EARLY = "conversation_already_has_active_response";
const CANCEL = "cancel";

export class Questions {
  #send; #waiting = []; #sent; #count = 0; #held = false;
  #underWay = new Map(); // id of a response -> what it answers: { turn, text }, without a text what was said
  #unasked = new Set(); // numbers of questions that were refused

  /** Id of the response that is being given. */
  given;

  /** @param send sends an event to the server */
  constructor(send) { this.#send = send; }

  /** Whether anything was asked whose answer is not complete. */
  get open() { return Boolean(this.#sent || this.#waiting.length || this.#underWay.size); }

  /** Turns of typed questions whose answers have not begun. */
  get waiting() {
    const asked = [...this.#underWay].filter(([id]) => id !== this.given).map(([, question]) => question);
    const all = [...asked, ...(this.#sent ? [this.#sent] : []), ...this.#waiting];
    return all.filter(({ text }) => text !== undefined).map(({ turn }) => turn);
  }

  /** Ask a typed question, after those before it. */
  ask(turn, text) {
    this.#waiting.push({ turn, text });
    this.#next();
  }

  /** The user talks until `release`: stop answering, and ask nothing; what was typed is asked after it. */
  hold() {
    this.#held = true;
    for (const id of this.#underWay.keys()) this.#cancel(id);
  }

  /** What the user said is the next question. */
  release() {
    this.#held = false;
    this.#waiting.unshift({});
    this.#next();
  }

  // --- what the server tells

  /** An answer is under way. @param said turn of what was said last, which it is about unless it was typed */
  created({ id, metadata }, said) {
    if (this.#unasked.has(metadata?.question)) this.#cancel(id); // its message was refused
    const ours = this.#sent && metadata?.question === this.#sent.number;
    const question = ours ? this.#sent : {};
    if (ours) this.#sent = undefined;
    question.turn ??= said;
    this.#underWay.set(id, question);
    if (this.#held) this.#cancel(id); // it began as the user did
  }

  /** An answer begins. @returns the turn that it belongs to */
  begun(id) {
    this.given = id;
    return this.#underWay.get(id)?.turn;
  }

  /** An answer is over, or will not be given. @returns the turn that it belonged to, unless it is asked again */
  done({ id, status }) {
    const question = this.#underWay.get(id);
    this.#underWay.delete(id);
    const takenBack = id !== this.given && status === "cancelled" && question?.text !== undefined;
    if (takenBack) this.#takeBack(question);
    if (id === this.given) this.given = undefined;
    this.#next();
    return takenBack ? undefined : question?.turn;
  }

  /** Something was refused. @returns whether the user need not know: it was too late, or is asked again */
  refused({ code, event_id }) {
    if (event_id === CANCEL) return true;
    if (!this.#sent || event_id !== `ask_${this.#sent.number}`) return false;
    const question = this.#sent, early = code === TOO_EARLY; // another answer began at the same time
    this.#sent = undefined;
    if (early) {
      this.#takeBack(question);
    } else {
      this.#unasked.add(question.number);
      this.#next();
    }
    return early;
  }

  #next() {
    if (this.#held || this.#sent || this.#underWay.size || !this.#waiting.length) return;
    const question = this.#waiting.shift(), { text } = question;
    const number = question.number = String(++this.#count), event_id = `ask_${number}`;
    this.#sent = question;
    if (text !== undefined) {
      const item = { type: "message", role: "user", content: [{ type: "input_text", text }], id: `typed_${number}` };
      this.#send({ type: "conversation.item.create", event_id, item });
    }
    this.#send({ type: "response.create", event_id, response: { metadata: { question: number } } });
  }

  /** It is asked again, after what comes before it now. */
  #takeBack(question) {
    this.#waiting.unshift(question);
    if (question.text === undefined) return;
    this.#send({ type: "conversation.item.delete", event_id: CANCEL, item_id: `typed_${question.number}` });
  }

  #cancel(id) { this.#send({ type: "response.cancel", event_id: CANCEL, response_id: id }); }
}
