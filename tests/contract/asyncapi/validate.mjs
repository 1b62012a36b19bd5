// Prints what the official parser finds in the AsyncAPI document on standard input: one JSON list of diagnostics.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[2] + '/');
const { Parser } = require('@asyncapi/parser');
const { document, diagnostics } = await new Parser().parse(readFileSync(0, 'utf8'));
const found = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path: path.join('/'), severity }));
process.stdout.write(JSON.stringify({ parsed: document !== undefined, found }));
