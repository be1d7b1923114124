// Vercel's AI SDK holds conversations through the proxy at the address given; prints as JSON what was said.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenResponses } from '@ai-sdk/open-responses';
import { Output, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';

const [url, apiKey] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });
const open = createOpenResponses({ name: 'homing', url: `${url}/v1/responses`, apiKey });
const call = 'Please call weather with {"city": "Paris"}';
const weather = tool({
  description: 'The weather of a city.',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const city = Output.object({ schema: z.object({ name: z.string(), people: z.int() }) });
const common = { model: openai.responses('gpt'), maxRetries: 0 };
const withTool = { ...common, tools: { weather }, stopWhen: isStepCount(3) };

async function whole(asked) {
  const { text, finalStep, responseMessages, output } = await generateText(asked);
  return { text, output, messages: responseMessages, id: finalStep.providerMetadata?.openai?.responseId };
}

async function streamed(asked) {
  const run = streamText({ ...asked, onError: ({ error }) => { throw error; } });
  let text = '';
  for await (const piece of run.textStream) text += piece;
  const step = await run.finalStep;
  const messages = await run.responseMessages;
  const output = asked.output ? await run.output : undefined;
  return { text, output, messages, id: step.providerMetadata?.openai?.responseId };
}

// Two turns, the first with a tool; the second goes on from the first by what `next` makes of it.
async function turns(ask, settings, next) {
  const first = await ask({ ...settings, prompt: call });
  const second = await ask({ ...settings, ...next(first) });
  return [first.text, second.text];
}

const byId = ({ id }) => ({ prompt: 'Where?', providerOptions: { openai: { previousResponseId: id } } });
const byHistory = ({ messages }) => ({
  messages: [{ role: 'user', content: call }, ...messages, { role: 'user', content: 'Where?' }],
});
const thinking = {
  ...withTool,
  model: openai.responses('gpt-5'),
  providerOptions: {
    openai: { store: false, reasoningEffort: 'low', reasoningSummary: 'auto', include: ['reasoning.encrypted_content'] },
  },
};

const said = {};
for (const [name, ask] of Object.entries({ whole, streamed })) {
  said[name] = {
    byId: await turns(ask, withTool, byId),
    byHistory: await turns(ask, withTool, byHistory),
    thinking: await turns(ask, thinking, byHistory),
    shaped: (await ask({ ...common, prompt: 'Which city?', output: city })).output,
    openResponses: await turns(ask, { ...withTool, model: open('gpt') }, byHistory),
  };
}
process.stdout.write(JSON.stringify(said));
