// Whether answers are spoken, which is remembered; and speaking them.

import { Speaker } from "./speaker.js";

const KEPT = "voice", OFF = "off";

export class Voice {
  speaker = new Speaker();

  /** Whether the user wishes answers to be spoken. */
  on = localStorage.getItem(KEPT) !== OFF;

  /** Whether the server has a voice. */
  there = false;

  /** Whether what is played can come back through the microphone. */
  get sounds() { return this.on && this.there; }

  /** What a session is asked for. */
  get settings() { return { type: "realtime", output_modalities: [this.on ? "audio" : "text"] }; }

  /** A session has begun, with these settings. */
  welcome(settings) {
    this.there = (settings.audio?.output?.voice ?? "none") !== "none";
    if (this.there) this.speaker.open();
  }

  /** Answers are spoken from the next one on, or no longer; what is being said is not said any more. */
  toggle() {
    this.on = !this.on;
    localStorage.setItem(KEPT, this.on ? "on" : OFF);
    this.speaker.stop();
  }

  play({ item_id, delta }) { if (this.on) this.speaker.play(item_id, delta); }

  /** An answer ended before its end: tell the model how much of it was heard, if that is less than all. */
  cut(item_id, send) {
    const audio_end_ms = this.speaker.stop(item_id);
    if (audio_end_ms === undefined) return;
    send({ type: "conversation.item.truncate", item_id, content_index: 0, audio_end_ms });
  }

  /** The session is over that said who speaks, and what a track plays. */
  forget() {
    this.speaker.duck(false);
    this.speaker.sounds(false);
  }

  close() {
    this.there = false;
    this.speaker.close();
  }
}
