/** What has arrived of an answer so far. */
export function emptyAnswer() {
  return { text: "", reasoning: "", calls: new Map(), usage: null, costUsd: null, ending: "" };
}

/** Adds a document of either endpoint to an answer; tells whether it brought anything to show. */
export function take(answer, document) {
  const before = sizeOf(answer);
  if (document.object === "response") takeResponse(answer, document);
  else if (document.type) takeEvent(answer, document);
  else takeChat(answer, document);
  return sizeOf(answer) > before;
}

function sizeOf(answer) {
  const calls = [...answer.calls.values()].map((call) => call.name + call.arguments);
  return (answer.text + answer.reasoning + calls.join("")).length;
}

function takeChat(answer, document) {
  const choice = document.choices?.[0];
  const said = choice?.delta ?? choice?.message ?? {};
  answer.text += said.content ?? said.refusal ?? "";
  answer.reasoning += said.reasoning ?? said.reasoning_content ?? "";
  (said.tool_calls ?? []).forEach((call, index) =>
    takeCall(answer, call.index ?? index, call.function?.name, call.function?.arguments),
  );
  if (choice?.finish_reason) answer.ending = choice.finish_reason;
  takeUsage(answer, document);
}

function takeEvent(answer, event) {
  const item = event.item;
  if (event.type === "response.output_text.delta") answer.text += event.delta;
  if (event.type === "response.refusal.delta") answer.text += event.delta;
  if (/^response\.reasoning.*\.delta$/.test(event.type)) answer.reasoning += event.delta;
  if (event.type === "response.function_call_arguments.delta")
    takeCall(answer, event.item_id, "", event.delta);
  if (event.type === "response.output_item.added" && item.type === "function_call")
    takeCall(answer, item.id, item.name, "");
  if (event.type === "response.completed" || event.type === "response.incomplete") {
    answer.ending = event.response.incomplete_details?.reason ?? event.response.status;
    takeUsage(answer, event.response);
  }
}

function takeResponse(answer, response) {
  for (const item of response.output ?? []) {
    if (item.type === "function_call") takeCall(answer, item.id, item.name, item.arguments);
    const parts = [...(item.summary ?? []), ...(item.content ?? [])];
    const words = parts.map((part) => part.text ?? part.refusal ?? "").join("");
    if (item.type === "reasoning") answer.reasoning += words;
    if (item.type === "message") answer.text += words;
  }
  answer.ending = response.incomplete_details?.reason ?? response.status;
  takeUsage(answer, response);
}

function takeCall(answer, id, name, pieceOfArguments) {
  const call = answer.calls.get(id) ?? { name: "", arguments: "" };
  call.name += name ?? "";
  call.arguments += pieceOfArguments ?? "";
  answer.calls.set(id, call);
}

function takeUsage(answer, { usage, estimated_cost_usd: costUsd }) {
  answer.costUsd = costUsd ?? answer.costUsd;
  if (!usage) return;
  answer.usage = {
    tokensIn: usage.prompt_tokens ?? usage.input_tokens,
    tokensOut: usage.completion_tokens ?? usage.output_tokens,
  };
}
