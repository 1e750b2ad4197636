import test from 'ava';
import { proxyContract } from '../contract.ts';

// nft is what the suite looks for traces with, and the pod network's masquerading is made with.
proxyContract(test, { kind: 'userspace', programs: ['nft', 'nsenter'] });
