// The one worker script; its name says which work it does.
import { onLookMessage } from './looking.mjs';
import { onStreamMessage } from './stream.mjs';

self.onmessage = self.name === 'stream' ? onStreamMessage : onLookMessage;
