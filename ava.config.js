export default { extensions: { ts: 'module' }, files: ['**/*.test.ts', '!dist/**'] };
