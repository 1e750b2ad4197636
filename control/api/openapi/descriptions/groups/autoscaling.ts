/** The group autoscaling: the subresource Scale, and HorizontalPodAutoscalers in both versions. */
import type { TextTable } from '../texts.ts';

const AVERAGE_UTILIZATION =
  'Use in percent of what the containers request, on average over the pods. Only for resource metrics.';

export const AUTOSCALING_V1: TextTable = {
  prefix: 'io.k8s.api.autoscaling.v1.',
  texts: {
    Scale: {
      itself:
        'Scale is the size of something that has replicas, in one form for all kinds. It is read and written as a subresource, such as deployments/NAME/scale, and not stored by itself.',
      spec: 'The size that is wanted.',
      status: 'The size that was last seen.',
    },
    ScaleSpec: {
      itself: 'ScaleSpec is the size that is wanted.',
      replicas: 'How many replicas are wanted; 0 or more.',
    },
    ScaleStatus: {
      itself: 'ScaleStatus is the size that was last seen.',
      replicas: 'How many replicas there are.',
      selector: 'Labels of the pods, as text: "app=web,tier in (front)". Autoscalers find the pods by it.',
    },
    CrossVersionObjectReference: {
      itself: 'CrossVersionObjectReference names an object in the same namespace.',
      apiVersion: 'Group and version of the object, such as apps/v1.',
      kind: 'Kind of the object, such as Deployment.',
      name: 'Name of the object.',
    },
    HorizontalPodAutoscaler: {
      itself:
        'HorizontalPodAutoscaler changes the number of replicas so that the use of CPU comes near a target. Other metrics that were set through autoscaling/v2 stand in annotations here.',
    },
    HorizontalPodAutoscalerSpec: {
      itself: 'HorizontalPodAutoscalerSpec says what is scaled, between which bounds, and by what use of CPU.',
      maxReplicas: 'The autoscaler never asks for more replicas. At least 1, and not below minReplicas.',
      minReplicas: 'The autoscaler never asks for fewer replicas. At least 1, which is the default.',
      scaleTargetRef: 'What is scaled. It has to have the subresource scale.',
      targetCPUUtilizationPercentage:
        'Use of CPU that is aimed at, in percent of what the containers request, on average over the pods; 80 if no metric is given at all.',
    },
    HorizontalPodAutoscalerStatus: {
      itself: 'HorizontalPodAutoscalerStatus is what the autoscaler last saw and did.',
      currentCPUUtilizationPercentage:
        'Use of CPU that was last measured, in percent of what the containers request, on average over the pods.',
      currentReplicas: 'Replicas of the target when it was last looked at.',
      desiredReplicas: 'Replicas that the autoscaler last asked for.',
      lastScaleTime: 'When the autoscaler last changed the number of replicas.',
      observedGeneration: 'The generation of the autoscaler that this status is about.',
    },
  },
};

export const AUTOSCALING_V2: TextTable = {
  prefix: 'io.k8s.api.autoscaling.v2.',
  texts: {
    CrossVersionObjectReference: {
      itself: 'CrossVersionObjectReference names an object in the same namespace.',
      apiVersion: 'Group and version of the object, such as apps/v1.',
      kind: 'Kind of the object, such as Deployment.',
      name: 'Name of the object.',
    },
    HorizontalPodAutoscaler: {
      itself:
        'HorizontalPodAutoscaler changes the number of replicas so that one or more metrics come near their targets. It looks every 15 seconds.',
    },
    HorizontalPodAutoscalerSpec: {
      itself: 'HorizontalPodAutoscalerSpec says what is scaled, between which bounds, and by which metrics.',
      behavior:
        'How fast the number of replicas may grow and shrink. If missing, the defaults of both directions hold.',
      maxReplicas: 'The autoscaler never asks for more replicas. At least 1, and not below minReplicas.',
      metrics:
        'What the size follows. Each metric asks for a number of replicas, and the largest number wins; one that cannot be read keeps the target from shrinking. By default a use of CPU of 80%.',
      minReplicas: 'The autoscaler never asks for fewer replicas. At least 1, which is the default.',
      scaleTargetRef: 'What is scaled. It has to have the subresource scale.',
    },
    HorizontalPodAutoscalerBehavior: {
      itself: 'HorizontalPodAutoscalerBehavior says how fast the number of replicas may change, by direction.',
      scaleDown:
        'Rules for fewer replicas. By default all of them may go within 15 seconds, but only as far as all recommendations of the last 300 seconds agree.',
      scaleUp:
        'Rules for more replicas. By default four pods more or twice as many, whichever is more, within 15 seconds, and without waiting.',
    },
    HPAScalingRules: {
      itself: 'HPAScalingRules says how fast the number of replicas may change in one direction.',
      policies: 'Bounds of the change; selectPolicy says which of them counts. At least one where rules are given.',
      selectPolicy:
        'Which bound counts: "Max", the default, the one that allows the most change, "Min" the one that allows the least. "Disabled" forbids this direction.',
      stabilizationWindowSeconds:
        'Seconds to look back on: of all recommendations in them the most cautious counts. 0 to 3600; 0 by default for more replicas, 300 for fewer.',
      tolerance:
        'By what part the use may differ from its target before anything is changed: 0.05 is 5%. 0.1 by default.',
    },
    HPAScalingPolicy: {
      itself: 'HPAScalingPolicy bounds how much the number of replicas may change within some seconds.',
      periodSeconds: 'Seconds within which no more than value may change. 1 to 1800.',
      type: 'What value counts: "Pods", or "Percent" of the replicas at the beginning of the period.',
      value: 'How much may change. Greater than 0.',
    },
    MetricSpec: {
      itself: 'MetricSpec is one metric with its target. Only the field that type names is set.',
      containerResource: 'CPU, memory or the like of one container of each pod.',
      external: 'A metric of something outside of the cluster, such as the length of a queue.',
      object: 'A metric of one object of the cluster, such as the requests of an Ingress.',
      pods: 'A metric that each pod has, averaged over the pods.',
      resource: 'CPU, memory or the like of all containers of each pod.',
      type: '"Resource", "ContainerResource", "Pods", "Object" or "External".',
    },
    MetricIdentifier: {
      itself: 'MetricIdentifier names a metric.',
      name: 'Name of the metric.',
      selector:
        'Labels that narrow the metric down; they are handed to the server of metrics. Without it the name alone counts.',
    },
    MetricTarget: {
      itself: 'MetricTarget is what a metric is to come near. One of the numbers is given, the one that type names.',
      averageUtilization: AVERAGE_UTILIZATION,
      averageValue: 'Value of the metric divided by the number of pods. Greater than 0.',
      type: 'Which number is given: "Utilization" for averageUtilization, "Value" for value, "AverageValue" for averageValue.',
      value: 'Value of the metric as it is. Greater than 0.',
    },
    MetricValueStatus: {
      itself: 'MetricValueStatus is what a metric was when it was last read.',
      averageUtilization: AVERAGE_UTILIZATION,
      averageValue: 'Value of the metric divided by the number of pods.',
      value: 'Value of the metric as it is.',
    },
    ResourceMetricSource: {
      itself: 'ResourceMetricSource scales by what all containers of the pods use of a resource.',
      name: 'Name of the resource: cpu or memory.',
      target: 'Use that is aimed at: averageUtilization or averageValue.',
    },
    ResourceMetricStatus: {
      itself: 'ResourceMetricStatus is what the pods use of a resource.',
      current: 'The use that was last measured.',
      name: 'Name of the resource.',
    },
    ContainerResourceMetricSource: {
      itself:
        'ContainerResourceMetricSource scales by what one container of the pods uses of a resource, so that sidecars do not blur the picture.',
      container: 'Name of the container.',
      name: 'Name of the resource: cpu or memory.',
      target: 'Use that is aimed at: averageUtilization or averageValue.',
    },
    ContainerResourceMetricStatus: {
      itself: 'ContainerResourceMetricStatus is what one container of the pods uses of a resource.',
      container: 'Name of the container.',
      current: 'The use that was last measured.',
      name: 'Name of the resource.',
    },
    PodsMetricSource: {
      itself: 'PodsMetricSource scales by a metric of each pod, read from custom.metrics.k8s.io.',
      metric: 'Which metric it is.',
      target: 'What is aimed at: averageValue.',
    },
    PodsMetricStatus: {
      itself: 'PodsMetricStatus is what a metric of the pods was.',
      current: 'The average that was last read.',
      metric: 'Which metric it is.',
    },
    ObjectMetricSource: {
      itself: 'ObjectMetricSource scales by a metric of one object, read from custom.metrics.k8s.io.',
      describedObject: 'The object that the metric is about; it is in the same namespace.',
      metric: 'Which metric it is.',
      target: 'What is aimed at: value, or averageValue for the value divided by the number of pods.',
    },
    ObjectMetricStatus: {
      itself: 'ObjectMetricStatus is what a metric of one object was.',
      current: 'What was last read.',
      describedObject: 'The object that the metric is about.',
      metric: 'Which metric it is.',
    },
    ExternalMetricSource: {
      itself:
        'ExternalMetricSource scales by a metric of something that is no object of the cluster, read from external.metrics.k8s.io.',
      metric: 'Which metric it is.',
      target: 'What is aimed at: value, or averageValue for the value divided by the number of pods.',
    },
    ExternalMetricStatus: {
      itself: 'ExternalMetricStatus is what an external metric was.',
      current: 'What was last read.',
      metric: 'Which metric it is.',
    },
    MetricStatus: {
      itself: 'MetricStatus is what one metric was when it was last read. Only the field that type names is set.',
      containerResource: 'What one container of each pod uses.',
      external: 'A metric of something outside of the cluster.',
      object: 'A metric of one object of the cluster.',
      pods: 'A metric of each pod, averaged.',
      resource: 'What all containers of each pod use.',
      type: '"Resource", "ContainerResource", "Pods", "Object" or "External". Empty where the metric could not be read.',
    },
    HorizontalPodAutoscalerStatus: {
      itself: 'HorizontalPodAutoscalerStatus is what the autoscaler last saw and did.',
      conditions:
        'Whether the autoscaler can do its work: "AbleToScale" (the target can be read and changed), "ScalingActive" (the metrics can be read), "ScalingLimited" (a bound holds it back).',
      currentMetrics: 'The metrics as they were last read, in the order of the spec.',
      currentReplicas: 'Replicas of the target when it was last looked at.',
      desiredReplicas: 'Replicas that the autoscaler last asked for.',
      lastScaleTime: 'When the autoscaler last changed the number of replicas.',
      observedGeneration: 'The generation of the autoscaler that this status is about.',
    },
    HorizontalPodAutoscalerCondition: {
      itself: 'HorizontalPodAutoscalerCondition is one thing that holds, or does not, of an autoscaler.',
      type: '"AbleToScale", "ScalingActive" or "ScalingLimited".',
    },
  },
};
