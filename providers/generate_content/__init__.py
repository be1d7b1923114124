"""Google's dialect, which the Gemini API and Vertex AI speak: `generateContent`. Part of homing-router."""
