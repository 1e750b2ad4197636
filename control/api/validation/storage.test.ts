import test from 'ava';
import type { CSIDriver } from '../generated/types.ts';
import { validateCsiDriverUpdate } from './storage.ts';

test('what volumes of a driver depend on does not change under them; the rest of a driver may', t => {
  const driver = (spec: CSIDriver['spec']): CSIDriver => ({ metadata: { name: 'd' }, spec });
  const old = driver({ attachRequired: true, volumeLifecycleModes: ['Persistent'] });
  const told = (spec: CSIDriver['spec']) =>
    validateCsiDriverUpdate(driver(spec), old).map(({ field, message }) => `${field}: ${message}`);
  t.deepEqual(told({ ...old.spec, podInfoOnMount: true, storageCapacity: true }), []);
  // The names are those of Kubernetes (pkg/apis/storage/validation).
  t.deepEqual(told({ attachRequired: false, volumeLifecycleModes: ['Persistent', 'Ephemeral'] }), [
    'spec.attachedRequired: Invalid value: false: field is immutable',
    'spec.volumeLifecycleModes: Invalid value: []storage.VolumeLifecycleMode{"Persistent", "Ephemeral"}: field is immutable',
  ]);
});
