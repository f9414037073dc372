import { BASE_URL } from "./document.js";
import { PATHS, bodyOf } from "./bodies.js";

/** The same call for a terminal, for Python or for Node; the key stays in the environment. */
export function snippet(language, call) {
  return { curl, python, node }[language](call, bodyOf(call));
}

/** A snippet as it is shown: without the thousands of characters that an image has. */
export const abridged = (text) => text.replace(/(;base64,.{24})[A-Za-z0-9+/=]{40,}/g, "$1…");

function curl(call, body) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''").replaceAll("\n", "\n  ");
  return [
    `curl -sS${call.stream ? "N" : ""} ${BASE_URL}${PATHS[call.surface]} \\`,
    `  -H "Authorization: Bearer $OPENAI_API_KEY" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d '${quoted}'`,
  ].join("\n");
}

const METHODS = { chat: "chat.completions.create", responses: "responses.create" };

function python(call, body) {
  const fields = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, "    ")},`);
  const lines = [
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${BASE_URL}")`,
    `answer = client.${METHODS[call.surface]}(`,
    ...fields,
    ")",
  ];
  return [...lines, ...PYTHON_ENDINGS[call.surface][call.stream ? "streamed" : "whole"]].join("\n");
}

const PYTHON_ENDINGS = {
  chat: {
    whole: ["message = answer.choices[0].message", "print(message.content or message.tool_calls)"],
    streamed: [
      "for chunk in answer:",
      "    for choice in chunk.choices:",
      `        print(choice.delta.content or "", end="", flush=True)`,
    ],
  },
  responses: {
    whole: ["print(answer.output_text or answer.output)"],
    streamed: [
      "for event in answer:",
      `    if event.type == "response.output_text.delta":`,
      `        print(event.delta, end="", flush=True)`,
    ],
  },
};

/** A JSON value as Python writes it. */
function literal(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, inner))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${literal(item, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const short = open + items.join(", ") + close;
  if (short.length + indent.length <= 72 && !short.includes("\n")) return short;
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

function node(call, body) {
  const lines = [
    `import OpenAI from "openai";`,
    "",
    `const client = new OpenAI({ baseURL: "${BASE_URL}" });`,
    `const answer = await client.${METHODS[call.surface]}(${JSON.stringify(body, null, 2)});`,
  ];
  return [...lines, ...NODE_ENDINGS[call.surface][call.stream ? "streamed" : "whole"]].join("\n");
}

const NODE_ENDINGS = {
  chat: {
    whole: [
      "const { content, tool_calls } = answer.choices[0].message;",
      "console.log(content ?? tool_calls);",
    ],
    streamed: [
      "for await (const chunk of answer)",
      `  process.stdout.write(chunk.choices[0]?.delta.content ?? "");`,
    ],
  },
  responses: {
    whole: ["console.log(answer.output_text || answer.output);"],
    streamed: [
      "for await (const event of answer)",
      `  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);`,
    ],
  },
};
