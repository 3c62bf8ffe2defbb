"""The page in a real browser: what the microphone hears, or does not, and what is sent of it."""

from pathlib import Path
from typing import Any

import numpy as np

from assistant.sound.recording import to_pcm16
from tests.clients.browser import page, run, state, tones
from tests.clients.on_the_page import ask
from tests.streaming.server.test_app import fake, serving


@run
async def test_a_machine_without_a_microphone(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        await it.click("#start")
        await it.wait_for_selector("#problem:has-text('No microphone was found')")
        await ask(it, "What was that?")


RESAMPLE = """async ([rate, frequencies]) => {
  const found = [];
  for (const frequency of frequencies) {
    const context = new OfflineAudioContext(1, 2 * rate, rate);
    await context.audioWorklet.addModule("worklet.js");
    const sound = new AudioBuffer({ length: 2 * rate, sampleRate: rate });
    sound.copyToChannel(
      Float32Array.from({ length: 2 * rate }, (_, i) => {
        return 0.5 * Math.sin((2 * Math.PI * frequency * i) / rate);
      }), 0,
    );
    const tone = new AudioBufferSourceNode(context, { buffer: sound });
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const samples = [];
    capture.port.onmessage = ({ data }) => samples.push(...new Int16Array(data));
    tone.connect(capture);
    tone.start();
    await context.startRendering();
    for (let left = 100; left && samples.length < 31000; left--) {
      await new Promise((go) => setTimeout(go, 20));
    }
    found.push(samples);
  }
  return found;
}"""


@run
async def test_resampling_keeps_what_16_khz_can_hold_and_nothing_else(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        for rate in (48_000, 44_100):
            kept, gone = (100, 1000, 4000, 7000), (8100, 9000, 12_000, 20_000)
            heard = await it.evaluate(RESAMPLE, [rate, [*kept, *gone]])
            for frequency, samples in zip((*kept, *gone), heard, strict=True):
                assert len(samples) >= 31_000
                sound = np.array(samples[4000:28_000]) / 32768
                loudness = 20 * np.log10(np.sqrt((sound**2).mean()) / (0.5 / np.sqrt(2)) + 1e-9)
                if frequency in gone:
                    assert loudness < -70, (rate, frequency, loudness)
                    continue
                assert abs(loudness) < 0.1, (rate, frequency, loudness)
                assert noise(sound, frequency) < -70, (rate, frequency)


def noise(sound: Any, frequency: float) -> float:
    """What is left of a tone at 16 kHz without the tone, dB under it."""
    time = np.arange(len(sound)) / 16_000
    turning = 2 * np.pi * frequency * time
    basis = np.stack([np.sin(turning), np.cos(turning)], axis=1)
    rest = sound - basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]
    return float(20 * np.log10(np.sqrt((rest**2).mean()) / np.sqrt((sound**2).mean())))


LOUD = """async (rate) => {
  const context = new OfflineAudioContext(1, rate, rate);
  await context.audioWorklet.addModule("worklet.js");
  const sound = new AudioBuffer({ length: rate, sampleRate: rate });
  const level = (i) => [0.5, 0.99999, 2, -0.5, -1, -2][Math.floor((6 * i) / rate)];
  sound.copyToChannel(Float32Array.from({ length: rate }, (_, i) => level(i)), 0);
  const source = new AudioBufferSourceNode(context, { buffer: sound });
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const samples = [];
  capture.port.onmessage = ({ data }) => samples.push(...new Int16Array(data));
  source.connect(capture);
  source.start();
  await context.startRendering();
  for (let left = 100; left && samples.length < 15000; left--) {
    await new Promise((go) => setTimeout(go, 20));
  }
  return [0, 1, 2, 3, 4, 5].map((part) => samples[Math.round(((part + 0.5) * 16000) / 6)]);
}"""


@run
async def test_samples_become_16_bit_as_everywhere_else(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host) as it:
        heard = await it.evaluate(LOUD, 48_000)
    wanted = to_pcm16(np.array([0.5, 0.99999, 2, -0.5, -1, -2], np.float32))
    assert np.abs(np.array(heard) - np.frombuffer(wanted, "<i2")).max() <= 1  # filters ripple


INTERRUPTED = """async () => {
  const log = [];
  let context;
  window.AudioContext = class {
    state = "suspended";
    audioWorklet = { addModule: async () => {} };
    constructor() { context = this; }
    createMediaStreamSource() { return { connect() {} }; }
    async resume() {
      log.push("resume");
      if (this.state === "interrupted") throw new DOMException("interrupted", "InvalidStateError");
      this.become("running");
    }
    async close() { this.become("closed"); }
    become(state) { if (this.state !== state) { this.state = state; this.onstatechange?.(); } }
  };
  window.AudioWorkletNode = class { port = {}; };
  const { Microphone } = await import("/microphone.js");
  const paused = () => log.push(microphone.paused);
  const microphone = new Microphone(() => {}, () => log.push("end"), paused);
  await microphone.open("");
  const done = async (what) => {
    log.length = 0;
    what();
    await new Promise((go) => setTimeout(go, 0));
    return [...log];
  };
  const found = {
    call: await done(() => context.become("interrupted")),
    seen: await done(() => document.dispatchEvent(new Event("visibilitychange"))),
    over: await done(() => context.become("suspended")),
    closed: await done(() => { microphone.close(); }),
    late: await done(() => document.dispatchEvent(new Event("visibilitychange"))),
  };
  return found;
}"""


@run
async def test_a_microphone_that_the_system_takes_for_a_while_comes_back(folder: Path) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder)) as it:
        found = await it.evaluate(INTERRUPTED)
    assert found["call"] == [True, "resume"]
    assert found["seen"] == ["resume"]  # still interrupted: refused
    assert found["over"] == ["resume", False]
    assert found["closed"] == found["late"] == []


KEPT_CONTEXTS = """() => {
  window.contexts = [];
  window.AudioContext = class extends AudioContext {
    constructor() { super(); contexts.push(this); }
  };
}"""


@run
async def test_the_page_says_that_the_microphone_is_paused_and_that_it_is_back(
    folder: Path,
) -> None:
    async with serving(fake()) as (_, host), page(host, *tones(folder, every_s=60)) as it:
        await it.evaluate(KEPT_CONTEXTS)
        await it.click("#start")
        await it.wait_for_selector(".ledger")
        await state(it, "Listening")
        await it.evaluate(
            "context = contexts[0]; resume = context.resume.bind(context);"
            "context.resume = async () => {}; context.suspend()"
        )
        await it.wait_for_selector(".note:text-is('The microphone is paused.')")
        await state(it, "Microphone paused")
        await it.evaluate("resume()")
        await it.wait_for_selector(".note:text-is('The microphone is back.')")
        await state(it, "Listening")
        said = await it.text_content("#announce") or ""
        assert said.endswith("The microphone is paused.The microphone is back.")
