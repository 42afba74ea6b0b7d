// Streamed answers of Chat Completions: `await answers.read(response, hear)` is what the model said, told to `hear` as it comes.
//
// The answer is {text, reasoning, calls, complete}; a call is one of the message's tool_calls. What the gateway or the
// upstream refuses is thrown as answers.Refused, with its words; its `answer` is what came before.

class Refused extends Error {
  constructor(words, status = 0) {
    super(words);
    this.status = status;
    this.answer = null;
  }
}

// The events' data, as they come.
async function* events(body) {
  let rest = "";
  for await (const piece of chunks(body.pipeThrough(new TextDecoderStream()))) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}

// Safari can't iterate over a stream.
async function* chunks(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function add(answer, delta, hear) {
  const reasoning = delta.reasoning_content ?? delta.reasoning; // the second is what OpenRouter and vLLM call it
  if (reasoning) {
    answer.reasoning += reasoning;
    hear("reasoning", reasoning);
  }
  if (delta.content) {
    answer.text += delta.content;
    hear("text", delta.content);
  }
  for (const part of delta.tool_calls ?? []) addCall(answer.calls, part);
}

function addCall(calls, { index = 0, id, function: told = {} }) {
  const call = (calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
  call.id = id || call.id;
  call.function.name = told.name || call.function.name;
  call.function.arguments += told.arguments ?? "";
}

async function refusal(response) {
  const text = await response.text();
  let words = "";
  try {
    const said = JSON.parse(text);
    words = said.error?.message ?? said.detail ?? "";
  } catch {
    // a page of something in between
  }
  return new Refused(words || `The answer was an error (status ${response.status}).`, response.status);
}

async function read(response, hear) {
  if (!response.ok) throw await refusal(response);
  const answer = { text: "", reasoning: "", calls: [], complete: false };
  try {
    for await (const event of events(response.body)) {
      if (event === "[DONE]") break;
      const chunk = JSON.parse(event);
      if (chunk.error) throw new Refused(chunk.error.message ?? "The upstream reported an error.");
      for (const choice of chunk.choices ?? []) {
        add(answer, choice.delta ?? {}, hear);
        answer.complete ||= Boolean(choice.finish_reason);
      }
    }
    if (!answer.complete) throw new Refused("The answer broke off before its end.");
  } catch (error) {
    error.answer = answer;
    throw error;
  }
  answer.calls = answer.calls.filter(Boolean);
  return answer;
}

globalThis.answers = { Refused, read };
