// The one worker script; its name says which work it does.
import { onHelperMessage } from './helping.mjs';
import { onLookMessage } from './looking.mjs';
import { onStreamMessage } from './stream.mjs';

self.onmessage = { stream: onStreamMessage, decode: onHelperMessage, look: onLookMessage }[self.name];
