// Lets Python steer an SDK: each line of standard input is one command as JSON, and each line of standard output what
// became of it. tests/journeys/javascript.py is at the other end.

import { createInterface } from "node:readline";

// What an SDK has to say about itself must not come between the answers.
globalThis.console = new console.Console(process.stderr);

// Storage as a browser has it: what was never stored is null.
export class Storage {
  #kept = new Map();
  getItem(key) {
    return this.#kept.get(key) ?? null;
  }
  setItem(key, value) {
    this.#kept.set(key, String(value));
  }
  removeItem(key) {
    this.#kept.delete(key);
  }
  clear() {
    this.#kept.clear();
  }
}

export async function obey(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, given } = JSON.parse(line);
    let answer;
    try {
      answer = { done: (await commands[command](given)) ?? null };
    } catch (error) {
      answer = { failed: { name: error.name, message: error.message, stack: error.stack } };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(); // whatever an SDK still waits for
}
