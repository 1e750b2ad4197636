import test from 'ava';
import { proxyContract } from '../contract.ts';

proxyContract(test, { kind: 'nftables', programs: ['nft', 'nsenter'] });
