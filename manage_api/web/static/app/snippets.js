// A request as a program that sends it: snippets.curl(base, body), snippets.python(base, body), snippets.javascript(base, body).

function curl(base, body) {
  const text = JSON.stringify(body, null, 1).replaceAll("'", "'\\''");
  return `curl --no-buffer '${base}/chat/completions' \\
  -H "Authorization: Bearer $THINKBACK_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '${text}'`;
}

// JSON's strings and numbers are Python's, too.
function literal(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const entries = Array.isArray(value) ? value.map((each) => literal(each, deeper)) : Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${literal(each, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (!entries.length) return open + close;
  return `${open}\n${entries.map((each) => `${deeper}${each},\n`).join("")}${indent}${close}`;
}

function python(base, body) {
  const named = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, "    ")},\n`);
  return `import os

from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(base)}, api_key=os.environ["THINKBACK_API_KEY"])
stream = client.chat.completions.create(
${named.join("")})
for chunk in stream:
    for choice in chunk.choices:
        thought = getattr(choice.delta, "reasoning_content", None)
        print(thought or choice.delta.content or "", end="", flush=True)
        for call in choice.delta.tool_calls or []:
            print(call.function.name or "", call.function.arguments or "", end="")
print()`;
}

function javascript(base, body) {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.THINKBACK_API_KEY });
const stream = await client.chat.completions.create(${JSON.stringify(body, null, 2)});
for await (const chunk of stream) {
  for (const { delta } of chunk.choices) {
    process.stdout.write(delta.reasoning_content || delta.content || "");
    for (const call of delta.tool_calls ?? []) process.stdout.write(\`\${call.function.name ?? ""}\${call.function.arguments ?? ""}\`);
  }
}`;
}

globalThis.snippets = { curl, javascript, python };
