/** Where a call goes. */
export const PATHS = { chat: "/chat/completions", responses: "/responses" };

/** The JSON object that a call sends; what was not given is not sent. */
export const bodyOf = (call) =>
  JSON.parse(JSON.stringify(call.surface === "chat" ? chatBody(call) : responsesBody(call)));

function chatBody(call) {
  const picture = { type: "image_url", image_url: { url: call.image } };
  const user = call.image ? [{ type: "text", text: call.prompt }, picture] : call.prompt;
  const system = call.system ? [{ role: "system", content: call.system }] : [];
  return {
    model: call.model,
    messages: [...system, { role: "user", content: user }],
    temperature: call.temperature,
    max_tokens: call.maxTokens,
    tools: call.functions?.map((each) => ({ type: "function", function: each })),
    response_format: chatFormat(call),
    stream: call.stream,
    stream_options: call.stream ? { include_usage: true } : undefined,
  };
}

function chatFormat({ format, schema }) {
  if (format === "text") return undefined;
  return schema ? { type: format, json_schema: { name: "answer", schema, strict: true } } : { type: format };
}

function responsesBody(call) {
  const content = [
    { type: "input_text", text: call.prompt },
    { type: "input_image", image_url: call.image },
  ];
  return {
    model: call.model,
    instructions: call.system || undefined,
    input: call.image ? [{ role: "user", content }] : call.prompt,
    temperature: call.temperature,
    max_output_tokens: call.maxTokens,
    tools: call.functions?.map((each) => ({ type: "function", ...each })),
    text: responsesFormat(call),
    stream: call.stream,
  };
}

function responsesFormat({ format, schema }) {
  if (format === "text") return undefined;
  return { format: schema ? { type: format, name: "answer", schema, strict: true } : { type: format } };
}
